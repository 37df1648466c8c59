"""What differs by project stands behind the tools where a template takes a system turn there."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from bench.template_report.conversations import conversations
from bench.template_report.measurement import loop_cost, missing
from bench.template_report.own_templates import OWN_TEMPLATES
from bench.template_report.tokenizers import template_tokenizer
from engine.prompts.history.samples import shared_length
from engine.prompts.probing.project_place import new_project
from engine.prompts.rendering import PromptRenderer, RenderedPrompt
from engine.wire.chat import PROJECT_TEXT, Message

KEPT = {
    "users and assistants in turn",
    "the system text in the first question",
    "the system text in the last question",
    "tools in the last question",
}
"""Templates of our own that take no system turn behind the tools, or have them elsewhere."""
TOOLS = [{"type": "function", "function": {"name": "Look", "description": "d " * 200, "parameters": {}}}]


def system(project: str, *, marked: bool = True) -> Message:
    parts: list[dict[str, Any]] = [
        {"type": "text", "text": "Be brief.\n\n"},
        {
            "type": "text",
            "text": f"# Memory\nIt is in /projects/{project}/memory/.\n\n",
            PROJECT_TEXT: marked,
        },
        {"type": "text", "text": "# Style\nBe kind.\n"},
    ]
    return {"role": "system", "content": parts}


def asked(project: str, **how: bool) -> list[Message]:
    return [system(project, **how), {"role": "user", "content": "Hello."}]


class Marking(PromptRenderer):
    """A renderer that marks the end of the system texts of `conversations`."""

    def render(self, messages: Any, tools: Any = None, **template_kwargs: Any) -> RenderedPrompt:
        first, *rest = messages
        if first["role"] == "system" and str(first["content"]).startswith("Rules: "):
            before, _, behind = first["content"].partition("\n\n")
            parts = [
                {"type": "text", "text": before},
                {"type": "text", "text": f"\n\n{behind}", PROJECT_TEXT: True},
            ]
            messages = [first | {"content": parts}, *rest]
        return super().render(messages, tools, **template_kwargs)


@functools.cache
def renderer(name: str) -> Marking:
    return Marking(template_tokenizer(OWN_TEMPLATES[name]))


@pytest.mark.parametrize("name", OWN_TEMPLATES)
def test_two_projects_share_the_tools_where_a_template_takes_it(name: str) -> None:
    made = renderer(name)
    one, other, plain, as_text = (
        made.render(messages, TOOLS)
        for messages in (
            asked("otter"),
            asked("heron"),
            asked("otter", marked=False),
            [
                {"role": "system", "content": "".join(p["text"] for p in system("otter")["content"])},
                asked("")[1],
            ],
        )
    )
    assert plain.tokens == as_text.tokens
    text = one.text
    assert all(
        text.count(word) == 1 for word in ("Be brief.", "/projects/otter/memory/", "Be kind.", "Hello.")
    )
    if name in KEPT:
        assert one.tokens == plain.tokens
        assert one.shared_boundaries == 2
        return
    shared = text[: shared_length(text, other.text)]
    assert all(word in shared for word in ("Be brief.", "Be kind.", "Look"))
    assert text.find("/projects/otter") < text.find("Hello.")
    end = one.boundaries[0]
    assert one.tokens[:end] == other.tokens[: other.boundaries[0]]
    # A word in place of the turns that are not shown stands before the project's turn there.
    assert one.shared_boundaries == (2 if name == "the last turn" else 3)


@pytest.mark.parametrize("name", [name for name in OWN_TEMPLATES if name not in KEPT])
def test_history_is_as_generated_and_nothing_is_lost(name: str) -> None:
    made = renderer(name)
    computed, appended, _ = loop_cost(made, made.forms, calls=3)
    assert computed <= 1.02 * appended
    for conversation in conversations():
        assert missing(conversation, made.render(conversation.messages, conversation.tools).text) == []


def test_what_it_saves_a_new_project_is_said_by_template() -> None:
    def figures(name: str) -> tuple[int, int]:
        made = renderer(name)
        found = new_project(lambda messages, tools: made.render(messages, tools).tokens)
        assert found.behind <= found.computed < found.prompt
        return found.computed, found.behind

    computed, behind = figures("no thinking")
    assert behind * 10 < computed
    for name in KEPT:
        computed, behind = figures(name)
        assert computed == behind


@pytest.mark.parametrize("parts", [(True, True), (False, False)])
def test_a_system_text_that_is_all_of_one_kind_stays_whole(parts: tuple[bool, bool]) -> None:
    content = [{"type": "text", "text": f"Part {n}. ", PROJECT_TEXT: own} for n, own in enumerate(parts)]
    messages = [{"role": "system", "content": content}, {"role": "user", "content": "Hello."}]
    plain = [{"role": "system", "content": "Part 0. Part 1. "}, messages[1]]
    made = renderer("no thinking")
    assert made.render(messages, TOOLS).tokens == made.render(plain, TOOLS).tokens
