from __future__ import annotations

from typing import Any

import pytest

from proxy.anthropic.context_edits import CLEARED, ToolUseEdit, clear_thinking, edits_of


def call(number: int, name: str = "Read") -> dict[str, Any]:
    block = {"type": "tool_use", "id": f"t{number}", "name": name, "input": {"n": number}}
    return {"role": "assistant", "content": [thought(), block]}


def answer(number: int) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": f"t{number}", "content": f"result {number}"}
    return {"role": "user", "content": [result]}


def thought() -> dict[str, Any]:
    return {"type": "thinking", "thinking": "hm", "signature": "s"}


def session(calls: int, name: str = "Read") -> list[dict[str, Any]]:
    """One question, and calls with their results."""
    turns: list[dict[str, Any]] = [{"role": "user", "content": "go"}]
    for number in range(calls):
        turns += [call(number, name), answer(number)]
    return turns


def results(messages: list[dict[str, Any]]) -> list[str]:
    blocks = [
        block for message in messages if isinstance(message["content"], list) for block in message["content"]
    ]
    return [block["content"] for block in blocks if block["type"] == "tool_result"]


def uses(value: int) -> dict[str, Any]:
    return {"type": "tool_uses", "value": value}


# An edit, and how many of six results it clears.
EDITS: list[tuple[dict[str, Any], int]] = [
    ({}, 3),
    ({"keep": uses(1)}, 5),
    ({"keep": uses(0)}, 6),
    ({"keep": uses(6)}, 0),
    ({"keep": uses(60)}, 0),
    ({"keep": "odd"}, 3),
    ({"keep": uses(-1)}, 3),
    ({"exclude_tools": ["Read"]}, 0),
    ({"exclude_tools": ["Write"]}, 3),
    ({"exclude_tools": "Read"}, 3),
]


@pytest.mark.parametrize(("edit", "count"), EDITS)
def test_the_oldest_results_are_cleared(edit: dict[str, Any], count: int) -> None:
    whole = session(6)
    cleared = ToolUseEdit.of(edit).apply(whole)
    assert cleared.count == count
    assert results(cleared.messages) == [CLEARED] * count + [f"result {n}" for n in range(count, 6)]
    assert whole == session(6)


@pytest.mark.parametrize(
    ("inputs", "first"),
    [(None, {"n": 0}), (False, {"n": 0}), (True, {}), (["Read"], {}), (["Write"], {"n": 0})],
)
def test_inputs_of_cleared_calls_are_cleared_where_asked_for(inputs: Any, first: dict[str, Any]) -> None:
    cleared = ToolUseEdit.of({"clear_tool_inputs": inputs}).apply(session(4)).messages
    assert cleared[1]["content"][1]["input"] == first
    assert cleared[3]["content"][1]["input"] == {"n": 1}


@pytest.mark.parametrize(
    ("edit", "tokens", "calls", "at_least"),
    [
        ({}, 100_000, 0, 0),
        ({"trigger": {"type": "input_tokens", "value": 5}}, 5, 0, 0),
        ({"trigger": uses(9), "clear_at_least": {"type": "input_tokens", "value": 7}}, 0, 9, 7),
        ({"trigger": "odd"}, 100_000, 0, 0),
    ],
)
def test_the_trigger_has_its_documented_default(
    edit: dict[str, Any], tokens: int, calls: int, at_least: int
) -> None:
    made = ToolUseEdit.of(edit)
    assert (made.trigger_tokens, made.trigger_uses, made.at_least_tokens) == (tokens, calls, at_least)


TURNS = [*session(2), {"role": "assistant", "content": "done"}, *session(2), *session(1)]  # three turns
ALL: dict[str, Any] = {"type": "all"}


@pytest.mark.parametrize(
    ("keep", "count", "left"),
    [
        ("all", 0, 5),
        (ALL, 0, 5),
        (None, 2, 1),
        ({"type": "thinking_turns", "value": 2}, 1, 3),
        ({"type": "thinking_turns", "value": 0}, 3, 0),
        ({"type": "thinking_turns", "value": 9}, 0, 5),
        ("odd", 2, 1),
    ],
)
def test_thinking_of_old_turns_is_cleared(keep: Any, count: int, left: int) -> None:
    cleared = clear_thinking(TURNS, {"keep": keep})
    kept = [
        block["type"]
        for message in cleared.messages
        if isinstance(message["content"], list)
        for block in message["content"]
    ]
    assert (cleared.count, kept.count("thinking")) == (count, left)
    assert kept.count("tool_use") == 5


@pytest.mark.parametrize("management", [None, 3, {}, {"edits": None}, {"edits": "x"}, {"edits": ["x", 3]}])
def test_a_request_without_usable_edits_has_none(management: Any) -> None:
    assert edits_of({"context_management": management}) == []
