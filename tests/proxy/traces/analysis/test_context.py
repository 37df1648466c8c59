"""What fills the context window of a session: pieces and parts, the largest things, growth, turns left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.events.types import Usage
from proxy.traces.analysis.context import context_of_session, context_of_trace
from proxy.traces.analysis.context_facts import ContextBudget
from proxy.traces.analysis.context_pieces import pieces
from proxy.traces.listing.turns import turns_around
from proxy.traces.reading import TraceNotFound, load_trace
from proxy.traces.schema import CountedPart, Trace, TraceRequest, TraceResponse
from tests.any_json import any_json, examples
from tests.proxy.trace_making import AT, call_of, trace_of
from tests.proxy.traces.folders import Folder

READ = {"name": "Read", "input_schema": {"type": "object"}}
JIRA = {"name": "mcp__jira__find_issue", "description": "x" * 400, "input_schema": {}}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    yield folder
    folder.index.close()


def call(number: int, name: str = "Read", **given: str) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": f"t{number}", "name": name, "input": given}],
    }


def result(number: int, text: str) -> dict[str, Any]:
    return {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": f"t{number}", "content": text}],
    }


def asked(number: int, *messages: dict[str, Any], prompt: int, **more: Any) -> Trace:
    body = {
        "system": "You are careful.",
        "tools": [READ, JIRA],
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": "Tidy the ledger."}, *messages],
    }
    made: dict[str, Any] = {
        "request": TraceRequest(body=body),
        "usage": Usage(input_tokens=prompt, output_tokens=20),
    }
    return trace_of(number, **made | more)


def put_three_turns(folder: Folder) -> list[Trace]:
    """Two reads of the same file; each turn is 1,000 tokens longer than the one before."""
    text = "import os\n" * 100
    messages = [call(1, file_path="a.py"), result(1, text), call(2, file_path="b.py"), result(2, text)]
    traces = [
        asked(1, prompt=1_000, tool_calls=[call_of("t1")]),
        asked(2, *messages[:2], prompt=2_000, tool_calls=[call_of("t2")]),
        asked(3, *messages, prompt=3_000),
    ]
    folder.put(*traces)
    return traces


def budget(folder: Folder, session: str = "session-a", *, at: str = "", window: int = 0) -> ContextBudget:
    return context_of_session(
        session, folder.index, lambda name: load_trace(folder.path, name), at=at, window=window
    )


TEXT, THOUGHT = {"type": "text", "text": "Done."}, {"type": "thinking", "thinking": "Hm."}
FILES = (
    "<system-reminder>\nCodebase instructions:\n\nContents of /home/ada/.claude/CLAUDE.md (yours):\n\n"
    "Terse.\n\nContents of /ledger/CLAUDE.md (project):\n\nRun make.\n</system-reminder>"
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "user", "content": "Hi"}, [("said", "text", "Hi")]),
        (
            {"role": "user", "content": "<system-reminder>today</system-reminder>Hi"},
            [("reminders", "reminder", "today"), ("said", "text", "Hi")],
        ),
        (
            {"role": "user", "content": [{"type": "text", "text": FILES}]},
            [
                ("reminders", "reminder", "Codebase instructions:"),
                ("reminders", "file", "/home/ada/.claude/CLAUDE.md"),
                ("reminders", "file", "/ledger/CLAUDE.md"),
            ],
        ),
        (
            {"role": "system", "content": "# Environment\nLinux"},
            [("reminders", "reminder", "# Environment Linux")],
        ),
        (
            {"role": "assistant", "content": [THOUGHT, TEXT, *call(1, "Bash", command="ls")["content"]]},
            [("wrote", "thinking", "Hm."), ("wrote", "text", "Done."), ("wrote", "calls", "Bash ls")],
        ),
        (result(1, "files"), [("results", "tool", "")]),  # of a call that is gone
        (
            {
                "role": "user",
                "content": [{"type": "image", "source": {"type": "base64", "data": "A" * 9999}}],
            },
            [("said", "images", "")],
        ),
        (
            {"role": "user", "content": "This session is being continued from a previous conversation that"},
            [("said", "summary", "This session is being continued from a previous conversation that")],
        ),
    ],
)
def test_each_piece_of_a_message_has_its_part(message: dict[str, Any], expected: list[Any]) -> None:
    found = [(piece.part, piece.kind, piece.what) for piece in pieces({"messages": [message]})]
    assert found == expected


def test_a_deferred_tool_is_offered_once_a_search_has_found_it() -> None:
    late = {"name": "WebSearch", "defer_loading": True, "input_schema": {}}
    found = {"type": "tool_result", "tool_use_id": "t1", "content": [_reference("WebSearch")]}
    body = {"tools": [READ, late], "messages": [{"role": "user", "content": "Hi"}]}
    assert [piece.what for piece in pieces(body) if piece.part == "tools"] == ["Read"]
    body["messages"].append({"role": "user", "content": [found]})
    assert [piece.what for piece in pieces(body) if piece.part == "tools"] == ["Read", "WebSearch"]


def _reference(name: str) -> dict[str, str]:
    return {"type": "tool_reference", "tool_name": name}


def test_the_largest_things_are_told_with_where_they_came_from(folder: Folder) -> None:
    traces = put_three_turns(folder)
    found = budget(folder)
    parts = {part.name: part for part in found.parts}
    [thing] = parts["results"].things
    assert (thing.kind, thing.what, thing.times, thing.turns) == ("Read", "a.py", 2, [2, 3])
    assert (thing.trace, thing.time) == (traces[1].id, AT + 2)
    assert parts["results"].tokens == pytest.approx(2 * thing.tokens, abs=1)
    assert parts["results"].grown == thing.tokens
    assert parts["tools"].grown == 0
    assert [(kind.name, kind.number, kind.calls) for kind in parts["tools"].kinds] == [
        ("mcp__jira", 1, 0),
        ("tools", 1, 2),
    ]
    assert (found.unused_tools, found.unused_tokens) == (1, parts["tools"].kinds[0].tokens)
    assert (found.about, found.turn, len(found.turns)) == ("Tidy the ledger.", 3, 3)


@pytest.mark.parametrize(
    ("window", "limit", "reserved", "left"),
    [(0, None, 32_000, None), (200_000, 167_000, 32_000, 164), (30_000, 0, 27_000, 0), (2_000, 0, 0, 0)],
)
def test_turns_are_left_until_the_client_compacts(
    folder: Folder, window: int, limit: int | None, reserved: int, left: int | None
) -> None:
    put_three_turns(folder)
    found = budget(folder, window=window)
    assert (found.compacts_at, found.reserved_tokens, found.turns_left) == (limit, reserved, left)
    assert found.growth == 1_000


def test_growth_is_the_median_of_the_last_turns_that_grew(folder: Folder) -> None:
    prompts = (100, 50_000, 51_000, 52_000, 20_000, 21_000, 24_000, 25_000)  # compacted in the middle
    folder.put(*[asked(number, prompt=prompt) for number, prompt in enumerate(prompts, 1)])
    assert budget(folder).growth == 1_000
    assert budget(folder, at="req_0002").growth == 49_900
    assert budget(folder, at="req_0001").growth is None


def test_of_a_session_without_a_whole_request_the_last_prompt_that_was_counted_is_looked_at(
    folder: Folder,
) -> None:
    left = TraceResponse(status=0, cancelled=True)
    folder.put(asked(1, prompt=9_000, response=left), asked(2, prompt=0, response=left))
    assert (budget(folder).trace, budget(folder).prompt_tokens) == ("req_0001", 9_000)


def test_only_whole_requests_of_the_main_lane_are_turns(folder: Folder) -> None:
    folder.put(
        asked(1, prompt=1_000),
        asked(2, prompt=9_000, lane="subagent"),
        asked(3, prompt=9_000, response=TraceResponse(status=0, cancelled=True)),
        asked(4, prompt=0),
        asked(5, prompt=9_000, session="other"),
    )
    folder.put(asked(6, prompt=2_000))
    found = budget(folder)
    assert [(turn.trace, turn.number) for turn in found.turns] == [("req_0001", 1), ("req_0006", 4)]
    # As its trace counts them: also those that are no turns here.
    around = turns_around(load_trace(folder.path, "req_0006"), folder.index)
    assert (found.turns[-1].number, found.requests) == (around.number, around.total) == (4, 4)
    aside = load_trace(folder.path, "req_0002")
    alone = context_of_trace(aside, folder.index, lambda name: load_trace(folder.path, name))
    assert (alone.trace, alone.lane, [turn.trace for turn in alone.turns]) == (
        "req_0002",
        "subagent",
        ["req_0002"],
    )


@pytest.mark.parametrize(
    ("session", "at", "says"),
    [
        ("", "", "no session was given"),
        ("x", "", "no trace is of a session x"),
        ("session", "", r"2 sessions begin with session \(session-a, session-b\)"),
        ("session-a", "req_0002", "has no request req_0002"),
        ("session-b", "", "no request of its main lane"),
    ],
)
def test_a_session_that_is_not_there_is_told(folder: Folder, session: str, at: str, says: str) -> None:
    folder.put(asked(1, prompt=1_000), asked(2, prompt=1_000, session="session-b", lane="subagent"))
    with pytest.raises(TraceNotFound, match=says):
        budget(folder, session, at=at)


def test_a_turn_before_that_is_gone_has_nothing_to_compare_with(folder: Folder) -> None:
    traces = put_three_turns(folder)
    next(folder.path.rglob(f"*{traces[1].id}.json")).unlink()
    assert [part.grown for part in budget(folder, "Session-A").parts] == [None] * 6


BLOCK = any_json(9) | st.builds(
    lambda kind, more: {**more, "type": kind, "text": "Hi", "tool_use_id": "t", "id": "t"},
    st.sampled_from(["text", "tool_use", "tool_result", "image", "thinking", "tool_reference"]),
    st.dictionaries(
        st.sampled_from(["input", "content", "name", "source", "thinking"]), any_json(9), max_size=3
    ),
)
MESSAGE = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "assistant", "system"]),
    st.lists(BLOCK, max_size=3) | st.text(max_size=9),
)
BODY = st.dictionaries(
    st.sampled_from(["system", "tools", "max_tokens"]), any_json(9) | st.lists(BLOCK, max_size=2), max_size=3
)


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    folder = Folder(tmp_path_factory.mktemp("nothing"))
    yield folder
    folder.index.close()


@settings(max_examples=examples(30))
@given(body=BODY, messages=st.lists(MESSAGE | any_json(9), max_size=4), prompt=st.integers(1, 10**6))
def test_the_parts_sum_up_to_the_prompt_whatever_a_client_sends(
    nothing: Folder, body: dict[str, Any], messages: list[Any], prompt: int
) -> None:
    trace = trace_of(
        1,
        request=TraceRequest(body=body | {"messages": messages}),
        usage=Usage(input_tokens=prompt),
    )
    found = context_of_trace(trace, nothing.index, lambda name: trace, window=8_000)
    filled = sum(piece.characters for piece in pieces(trace.request.body))
    assert sum(part.tokens for part in found.parts) == (prompt if filled else 0)
    for part in found.parts:
        assert abs(sum(kind.tokens for kind in part.kinds) - part.tokens) <= len(part.kinds)


def test_where_the_engine_counted_the_parts_they_have_those_tokens(folder: Folder) -> None:
    text = "import os\n" * 100
    messages = [call(1, file_path="a.py"), result(1, text)]
    messages[1]["content"].append({"type": "text", "text": "<system-reminder>x</system-reminder>Go on."})
    counted = {
        "system": 100,
        "tools": 30,
        "tool Read": 20,
        f"tool {JIRA['name']}": 250,
        "message 1 (user)": 7,
        "message 2 (assistant)": 13,
        "message 3 (tool result)": 500,
        "message 4 (user)": 60,
        "the answer's beginning": 20,
    }
    parts = [CountedPart(name=name, tokens=tokens) for name, tokens in counted.items()]
    trace = asked(1, *messages, prompt=1_000, prompt_parts=parts)
    folder.put(trace)
    found = context_of_trace(trace, folder.index, lambda name: load_trace(folder.path, name))
    tokens = {part.name: part.tokens for part in found.parts}
    assert (tokens["system"], tokens["tools"], tokens["results"], tokens["wrote"]) == (100, 300, 500, 13)
    assert tokens["reminders"] + tokens["said"] == 7 + 60 + 20
    assert found.counted_parts
    [thing] = next(part for part in found.parts if part.name == "results").things
    assert (thing.tokens, thing.counted) == (500, True)
