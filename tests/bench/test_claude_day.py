"""What `make claude-day` checks and writes: its checks can fail; a partial run changes its own rows."""

from __future__ import annotations

from typing import Any

import pytest

from bench.claude_day import __main__ as claude_day
from bench.claude_day.checks import api_errors, losses, usage_differences
from bench.claude_day.scenario import Scenario
from bench.claude_day.table import BEGIN, END, Outcome, merged
from proxy.events.types import Usage
from proxy.traces.schema import Trace, TraceRequest, TraceResponse

ROWS = [
    Scenario("one", "it works", lambda _: None, "test_docs.py"),
    Scenario("two", "so does it", lambda _: None),
]
EMPTY = f"# Title\n\n{BEGIN}\n{END}\n\nThe end.\n"


def outcome(name: str, *problems: str, date: str = "2026-11-29", lacks: tuple[str, ...] = ()) -> Outcome:
    return Outcome(name, problems, 4.4, date, lacks)


def test_a_run_writes_a_row_for_each_scenario() -> None:
    document = merged(EMPTY, ROWS, [outcome("one"), outcome("two", "it broke")], "2.1.332")
    assert "| one | it works | `test_docs.py` | passed, 4 s, 2026-11-29 |" in document
    assert "| two | so does it | — | **failed**, 4 s, 2026-11-29 |" in document
    assert document.startswith("# Title\n")
    assert document.endswith("\n\nThe end.\n")


@pytest.mark.parametrize(
    "words", [["plan mode,/rewind"], ["plan", "mode,/rewind"], ["plan", "mode,", "/rewind"]]
)
def test_names_of_several_words_need_no_quotes(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(claude_day, "claude_is_there", lambda: False)
    assert claude_day.main(["--only", *words]) == 2
    assert "Claude Code is not at" in capsys.readouterr().err  # the names are known
    assert claude_day.main(["--only", "plan", "moda"]) == 2
    assert "no scenario plan moda" in capsys.readouterr().err


def test_a_partial_run_and_another_client_leave_all_other_cells_alone() -> None:
    document = merged(EMPTY, ROWS, [outcome("one"), outcome("two")], "2.1.332")
    document = merged(document, ROWS, [outcome("one", date="2026-11-30")], "2.1.332")
    document = merged(document, ROWS, [outcome("two")], "2.1.197")
    assert "| passed, 4 s, 2026-11-30 | not run |" in document
    assert "| passed, 4 s, 2026-11-29 | passed, 4 s, 2026-11-29 |" in document
    newer = merged(document, ROWS, [outcome("one")], "2.1.340")
    assert "| 2.1.340 | 2.1.197 |" in newer


def test_a_cell_says_what_the_client_itself_lacks() -> None:
    document = merged(EMPTY, ROWS, [outcome("one", lacks=("its checks",))], "2.1.197")
    assert "| passed, 4 s, 2026-11-29; not in this version: its checks |" in document


def test_a_document_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks"):
        merged("# Title\n", ROWS, [outcome("one")], "2.1.332")


def trace(upstream: list[dict[str, Any]]) -> Trace:
    call = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls -la"}}
    result = {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": [{"type": "text", "text": "till.py"}],
    }
    messages = [
        {"role": "user", "content": "Look around."},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    return Trace(
        id="req_1",
        time=1.0,
        request=TraceRequest(body={"system": "Be terse.", "messages": messages}),
        upstream={"messages": upstream},
        response=TraceResponse(status=200, message={"id": "msg_1"}),
        usage=Usage(input_tokens=7, output_tokens=3),
    )


WHOLE = [
    {"role": "system", "content": "Be terse."},
    {"role": "user", "content": "Look around."},
    {
        "role": "assistant",
        "tool_calls": [{"function": {"name": "Bash", "arguments": '{"command": "ls -la"}'}}],
    },
    {"role": "tool", "content": "till.py"},
]


def test_what_arrives_whole_is_not_lost() -> None:
    assert losses([trace(WHOLE)]) == []


@pytest.mark.parametrize("missing", range(len(WHOLE)))
def test_each_message_that_does_not_arrive_is_told(missing: int) -> None:
    assert losses([trace([*WHOLE[:missing], *WHOLE[missing + 1 :]])])


def line(stop: str | None = "end_turn", **counts: int) -> dict[str, Any]:
    usage = {
        "input_tokens": 7,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 3,
    }
    return {"type": "assistant", "message": {"id": "msg_1", "stop_reason": stop, "usage": usage | counts}}


@pytest.mark.parametrize(
    ("seen", "differs"),
    [
        (line(), False),
        (line(output_tokens=4), True),
        (line(None, output_tokens=1), False),  # interrupted: the client never got the last count
        (line(None, input_tokens=8), True),
        (line(None, input_tokens=0, output_tokens=0), False),  # the counts come with the last chunk
        (line(input_tokens=0, output_tokens=0), True),
    ],
)
def test_usage_that_differs_from_the_trace_is_told(seen: dict[str, Any], differs: bool) -> None:
    assert bool(usage_differences([seen], [trace(WHOLE)])) is differs


def test_an_answer_without_a_trace_and_an_error_that_was_shown_are_told() -> None:
    assert usage_differences([line()], [])
    shown = line() | {"isApiErrorMessage": True}
    assert api_errors([shown])
    assert usage_differences([shown], []) == []
