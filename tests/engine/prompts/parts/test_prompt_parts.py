"""Each token of a prompt is of one part, and the parts have names that people know."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.bundled_model import FOLDER
from engine.models.tokenizer_loading import load_tokenizer
from engine.prompts.parts.prompt_parts import PartFinder, Shown
from engine.prompts.parts.prompt_segments import aligned_names
from engine.prompts.parts.token_places import TokenPlaces
from engine.prompts.rendering import PromptRenderer, RenderedPrompt

SYSTEM = "You are a test. Use Read, not Bash.\n# Environment\nCurrent branch: main"
REMINDERS = "<system-reminder>\nContents of /home/ada/CLAUDE.md (ours):\nMind the gap.\n</system-reminder>\n"
ASKED = {"role": "user", "content": REMINDERS + "Who are you, ünï?"}
FIRST = [{"role": "system", "content": SYSTEM}, ASKED]
LATER = [
    *FIRST,
    {"role": "assistant", "content": "I am."},
    {"role": "user", "content": "Go on."},
]


def tool(name: str, description: str) -> dict[str, Any]:
    fields = {"name": name, "description": description, "parameters": {"type": "object", "properties": {}}}
    return {"type": "function", "function": fields}


TOOLS = [
    tool("Bash", "Runs it, where Read and Edit do not do."),
    tool("Edit", "Changes it."),
    tool("Read", "Reads."),
]


@pytest.fixture(scope="module")
def renderer(tokenizer: Any) -> PromptRenderer:
    return PromptRenderer(tokenizer)


def texts(renderer: PromptRenderer, prompt: RenderedPrompt) -> dict[str, str]:
    """The text of each part; of parts with one name together."""
    found: dict[str, str] = {}
    at = 0
    for name, tokens in zip(*prompt.parts.counted(len(prompt.tokens)), strict=True):
        text = renderer._tokenizer.decode(prompt.tokens[at : at + tokens])
        found[name] = found.get(name, "") + text
        at += tokens
    assert at == len(prompt.tokens)
    return found


def test_system_each_tool_reminders_and_each_message_are_parts(renderer: PromptRenderer) -> None:
    found = texts(renderer, renderer.render(LATER, TOOLS))
    assert list(found) == [
        "system",
        "tools",
        "tool Bash",
        "tool Edit",
        "tool Read",
        "reminders of message 1 (user)",
        "message 1 (user)",
        "message 2 (assistant)",
        "message 3 (user)",
        "the answer's beginning",
    ]
    assert found["system"].endswith(SYSTEM)
    for one in TOOLS:
        text = found[f"tool {one['function']['name']}"]
        assert one["function"]["description"] in text
        assert text.count('"name"') == 1
    assert found["reminders of message 1 (user)"].endswith(REMINDERS)
    assert "I am." in found["message 2 (assistant)"]


@pytest.mark.parametrize(
    "written",
    [
        "\n".join(
            f"// {one['function']['description']}\ntype {one['function']['name']} = x;" for one in TOOLS
        ),
        "\n".join(
            f"<tool><name>{one['function']['name']}</name>\n{one['function']['description']}</tool>"
            for one in TOOLS
        ),
        "\n".join(f"- {one['function']['name']}: {one['function']['description']}" for one in TOOLS),
    ],
)
@pytest.mark.parametrize("behind", [True, False])
def test_definitions_are_found_however_a_template_writes_them(
    renderer: PromptRenderer, written: str, behind: bool
) -> None:
    head = f"Use Bash.\n{SYSTEM}\n# Tools\n{written}\nThat is all." if behind else f"{written}\n{SYSTEM}"
    text = f"<|im_start|>system\n{head}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    tokens = renderer.encode(text)
    starts = [at for at, token in enumerate(tokens) if token == tokens[0]]
    shown = Shown(FIRST, FIRST, TOOLS, True)
    parts = PartFinder(renderer._tokenizer).find(text, tokens, starts[1:], shown, 0)
    at, found = 0, {}
    for name, number in zip(*parts.counted(len(tokens)), strict=True):
        found[name] = found.get(name, "") + renderer._tokenizer.decode(tokens[at : at + number])
        at += number
    assert SYSTEM in found["system"]
    for one in TOOLS:
        # The last character may be in a token with the line's end.
        assert one["function"]["description"][:-1] in found[f"tool {one['function']['name']}"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("You are", "system"),
        ("branch: main", "system, Environment"),
        ("Changes it", "tool Edit"),
        ("the gap", "reminders of message 1 (user), /home/ada/CLAUDE.md"),
        ("Who are", "message 1 (user)"),
        ("assistant\n", "the answer's beginning"),
    ],
)
def test_a_place_is_named_by_what_stands_there(renderer: PromptRenderer, text: str, name: str) -> None:
    prompt = renderer.render(FIRST, TOOLS)
    behind = len(renderer.encode(prompt.text[: prompt.text.rindex(text) + len(text)]))
    assert prompt.parts.name_at(behind - 1) == name


def test_a_first_prompt_has_text_of_its_own_behind_the_reminders(renderer: PromptRenderer) -> None:
    prompt = renderer.render(FIRST, TOOLS)
    assert prompt.parts.own_from == prompt.boundaries[1]
    assert renderer.render(FIRST[1:]).parts.own_from == renderer.render(FIRST[1:]).boundaries[0]
    assert renderer.render(LATER, TOOLS).parts.own_from is None


def test_a_template_that_shows_little_has_named_parts_too() -> None:
    """The bundled model's leaves reminders out and cuts system texts."""
    renderer = PromptRenderer(load_tokenizer(FOLDER).tokenizer)
    long = {"role": "system", "content": SYSTEM + " and so on" * 50}
    extra = {"role": "system", "content": "<system-reminder>nothing is left of it</system-reminder>"}
    prompt = renderer.render([long, ASKED, extra, *LATER[2:]], TOOLS)
    names = list(texts(renderer, prompt))
    assert names[0] == "system"
    assert next(name for name in names if name.startswith("message")) == "message 1 (user)"
    assert "message 3 (assistant)" in names


def test_a_call_without_a_text_is_between_its_neighbours() -> None:
    messages = [
        {"role": "user", "content": "Read it."},
        {"role": "assistant", "content": "", "tool_calls": [{}]},
        {"role": "tool", "content": "one line"},
        {"role": "user", "content": "not shown"},
    ]
    segments = ["<u>Read it.", "<a>a call", "<t>one line", "<a>"]
    assert aligned_names(segments, messages, tools=False) == (
        "message 1 (user)",
        "message 2 (assistant)",
        "message 3 (tool result)",
    )
    joined = ["<u>Read it.", "<a>a call<t>one line", "<a>"]
    assert aligned_names(joined, messages, tools=False) == (
        "message 1 (user)",
        "message 2 (assistant) to message 3 (tool result)",
    )


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.text(max_size=30), behind=st.text(max_size=30))
def test_places_go_there_and_back(renderer: PromptRenderer, before: str, behind: str) -> None:
    places = TokenPlaces(renderer._tokenizer)
    text = (before + behind).encode("utf-8", "replace").decode()
    tokens = renderer.encode(text)
    for position in range(1, len(tokens) + 1):
        begun = places.text_before(text, tokens, position)
        assert begun is not None
        assert text.startswith(begun)
    [place] = places.tokens_at(text, tokens, [len(text)])
    assert place == len(tokens)


def test_where_tokens_do_not_spell_the_text_no_place_is_known(renderer: PromptRenderer) -> None:
    places = TokenPlaces(renderer._tokenizer)
    tokens = renderer.encode("one two three")
    assert places.text_before("and one two three", tokens, 2) is None
    assert TokenPlaces(object()).text_before("one", tokens, 1) is None
