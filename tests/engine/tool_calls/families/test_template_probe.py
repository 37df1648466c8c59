"""The family and the thinking marks of a model are found by what its template renders."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jinja2
import pytest

from engine.tool_calls.families.registry import ALL_FAMILIES, family_named
from engine.tool_calls.families.template_probe import detected_family, opened_by, shown_thinking
from engine.tool_calls.quoted.thinking_marks import THINKING_MARKS
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.tools import tool_schemas
from engine.wire.chat import Message
from tests.engine.tool_calls.families.test_call_templates import RENDERINGS

Render = Callable[..., str]


def template(show: Callable[[list[tuple[str, Any]]], str], said: str = "") -> Render:
    """A template that writes roles, contents and calls; `said` about the tools."""

    def render(messages: list[Message], tools: Any, add_generation_prompt: bool = True) -> str:
        text = f"[system]{said}{json.dumps(tools)}" if tools else ""
        for message in messages:
            calls = [call["function"] for call in message.get("tool_calls", ())]
            text += f"[{message['role']}]{message['content'] or ''}"
            text += show([(call["name"], call["arguments"]) for call in calls]) if calls else ""
        return text + "[assistant]"

    return render


def jinja(source: str, names: dict[str, str]) -> Render:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    made = environment.from_string(source)
    return template(
        lambda calls: made.render(
            calls=[{"name": name, "arguments": given} for name, given in calls], **names
        )
    )


@pytest.mark.parametrize("family", ALL_FAMILIES, ids=lambda family: family.name)
def test_the_family_is_the_one_that_reads_what_the_template_shows(family: Family) -> None:
    before = ">>>" if family.name == "functionary" else ""
    render = template(lambda calls: before + family.write(calls, tool_schemas([])))
    assert detected_family(render, ()) is family


@pytest.mark.parametrize(("name", "source", "names"), RENDERINGS, ids=[row[0] for row in RENDERINGS])
def test_the_templates_of_models_show_their_family(name: str, source: str, names: dict[str, str]) -> None:
    assert detected_family(jinja(source, names), ()) is family_named(name)


def other_marks(calls: list[tuple[str, Any]]) -> str:
    (name, arguments), *_ = calls
    values = "".join(f"]own[<{key}>{value}]own[</{key}>" for key, value in arguments.items())
    return f']own[<tool_call>\n]own[<invoke name="{name}">{values}]own[</invoke>\n]own[</tool_call>'


@pytest.mark.parametrize(
    "show",
    [
        other_marks,
        lambda calls: f"<call>{json.dumps({'name': calls[0][0], 'arguments': calls[0][1]})}</call>",
        lambda calls: f"<tool_call>{calls[0][0]} with {json.dumps(calls[0][1])}</tool_call>",
        lambda calls: f"I call {calls[0][0]} with {calls[0][1].get('path')}",
    ],
    ids=["longer marks", "JSON in other marks", "known marks, other text", "words"],
)
def test_a_call_that_no_family_reads_has_none_whatever_marks_are_mentioned(show: Any) -> None:
    said = '<tool_call>\n{"name": "x", "arguments": {}}\n</tool_call>'
    assert detected_family(template(show, said), ["<tool_call>", "<arg_key>"]) is None


def no_calls(calls: list[tuple[str, Any]]) -> str:
    return ""


@pytest.mark.parametrize(
    ("said", "tokens", "name"),
    [
        ('Write <tool_call>\n{"name": NAME, "arguments": {…}}\n</tool_call>.', [], "hermes"),
        ("Write <tool_call>\n<function=NAME>\n<parameter=KEY>\n", [], None),
        (
            "<tool_call>\n<function=NAME>\n<parameter=KEY>\nVALUE\n</parameter>\n</function>\n</tool_call>",
            [],
            "qwen3_coder",
        ),
        ("Use your tools.", ["<|tool_calls_section_begin|>"], "kimi"),
        ("Use your tools.", ["<tool_call>"], None),
    ],
)
def test_a_template_that_shows_no_call_may_say_how_they_are_written(
    said: str, tokens: list[str], name: str | None
) -> None:
    found = detected_family(template(no_calls, said), tokens)
    assert (found.name if found else None) == name


def test_calls_are_given_as_the_template_wants_them() -> None:
    hermes = family_named("hermes")

    def picky(messages: list[Message], tools: Any, add_generation_prompt: bool = True) -> str:
        def show(calls: list[tuple[str, Any]]) -> str:
            return hermes.write([(name, json.loads(given)) for name, given in calls], tool_schemas([]))

        for message in messages:
            if message["role"] == "tool":
                raise jinja2.TemplateError("no results here")
            if message.get("tool_calls") and message["content"] is not None:
                raise jinja2.TemplateError("calls have no content")
            if any(len(call["id"]) != 9 for call in message.get("tool_calls", ())):
                raise jinja2.TemplateError("ids have nine letters")
        return template(show)(messages, tools)

    assert detected_family(picky, ()) is hermes


def test_a_template_that_refuses_everything_leaves_it_to_the_tokens() -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise jinja2.TemplateError("no")

    assert detected_family(refuse, ()) is None
    assert detected_family(refuse, ["[TOOL_CALLS]", "[ARGS]"]) is family_named("mistral")
    assert shown_thinking(refuse) is None


def thinking(start: str, end: str, field: str = "reasoning_content") -> Render:
    def render(messages: list[Message], tools: Any, add_generation_prompt: bool = True) -> str:
        text = ""
        for message in messages:
            if isinstance(message["content"], list):
                raise jinja2.TemplateError("text only")
            thought = f"{start}\n{message[field]}\n{end}\n\n" if field in message else ""
            text += f"<|im_start|>{message['role']}\n{thought}{message['content']}<|im_end|>"
        return text

    return render


@pytest.mark.parametrize(("start", "ends"), THINKING_MARKS.items())
def test_the_marks_around_thinking_are_those_that_the_template_writes(
    start: str, ends: tuple[str, ...]
) -> None:
    assert shown_thinking(thinking(start, ends[0])) == (start, ends[0])


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_marks_that_nobody_knows_are_found_too(field: str) -> None:
    assert shown_thinking(thinking("<ponder>", "</ponder>", field)) == ("<ponder>", "</ponder>")
    assert shown_thinking(thinking("<|begin_of_thought|>", "<|end_of_thought|>", field)) == (
        "<|begin_of_thought|>",
        "<|end_of_thought|>",
    )


def test_thinking_without_marks_or_of_another_field_has_none() -> None:
    assert shown_thinking(thinking("", "")) is None
    assert shown_thinking(thinking("<|im_start|>", "<|im_end|>")) is None
    assert shown_thinking(thinking("<think>", "</think>", "musing")) is None


@pytest.mark.parametrize("switch", ["enable_thinking", "thinking"])
def test_thinking_that_is_shown_only_while_it_is_switched_on_has_marks(switch: str) -> None:
    def render(messages: list[Message], tools: Any, add_generation_prompt: bool = True, **on: bool) -> str:
        shown = thinking("<think>", "</think>") if on.get(switch) else thinking("", "", "unseen")
        return shown(messages, tools, add_generation_prompt)

    assert shown_thinking(render) == ("<think>", "</think>")


@pytest.mark.parametrize(
    ("before", "opening", "cut", "found"),
    [
        ("[assistant]", "<ponder>\n", "</ponder>", ("<ponder>", "</ponder>")),
        ("[assistant]", "<|begin_muse|>", "<|end_muse|>", ("<|begin_muse|>", "<|end_muse|>")),
        ("[assistant]", "<ponder>\n", "</think>", ("<ponder>", "")),
        ("<|assistant|>", "\n", "</think>", ("", "")),
        ("<|assistant|><mode>", "<mode>", "</mode>", ("", "")),
        ("[assistant]", "<think>\n\n</think>\n", "</think>", ("", "")),
        ("[assistant]", "<|channel>thought\n<channel|>", "<channel|>", ("", "")),
        ("[assistant]", "", "</think>", ("", "")),
    ],
)
def test_a_template_may_open_only_a_new_answer_with_a_mark(
    before: str, opening: str, cut: str, found: tuple[str, str]
) -> None:
    def render(messages: list[Message], tools: Any, add_generation_prompt: bool = True) -> str:
        said = [(message["role"], message["content"].split(cut)[-1]) for message in messages]
        text = "".join((before if role == "assistant" else f"[{role}]") + words for role, words in said)
        return text + (before + opening if add_generation_prompt else "")

    assert opened_by(render) == found
