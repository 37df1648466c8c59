"""The past of a host, made of traces: the same events as when it was the present."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.events.types import (
    CacheMiss,
    CacheVerdict,
    ErrorInfo,
    RequestDelta,
    RequestFailed,
    RequestFinished,
    RequestReceived,
    RequestToolCall,
    RequestToolResult,
)
from proxy.record import past_events as module
from proxy.record.past_events import past_events
from proxy.traces.schema import TraceResponse
from tests.proxy.trace_making import AT, call_of, trace_of
from tests.proxy.traces.folders import Folder

DIED = ErrorInfo(type="overloaded_error", message="signal 9", cause="engine died")
TITLE = '{"title": "The till"}'
LEFT = ErrorInfo(type="cancelled", message="the client left")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path / "traces")
    missed = CacheVerdict(prompt_tokens=9, miss=CacheMiss(reason="cold"))
    calls = [call_of(result="42", is_error=True, duration_s=0.5), call_of("toolu_2")]
    made.put(
        trace_of(1, response=TraceResponse(status=529, error=DIED)),
        trace_of(2, retry_of="req_0001", tool_calls=calls, cache=missed),
        trace_of(3, response=TraceResponse(status=499, error=LEFT, cancelled=True)),
        trace_of(9),
    )
    yield made
    made.index.close()


def test_traces_become_the_events_that_they_were_made_of(folder: Folder) -> None:
    events = past_events(folder.path, folder.index, limit=3, before=AT + 5)
    assert [(event.request, event.type.removeprefix("request.")) for event in events] == [
        ("req_0001", "received"),
        ("req_0001", "failed"),
        ("req_0002", "received"),
        ("req_0002", "cache.missed"),
        ("req_0002", "tool_call"),
        ("req_0002", "tool_call"),
        ("req_0002", "finished"),
        ("req_0002", "tool_result"),
        ("req_0003", "received"),
        ("req_0003", "failed"),
    ]
    told = [event.payload() for event in events]
    died, again, call, done, result = told[1], told[2], told[4], told[6], told[7]
    assert isinstance(died, RequestFailed)
    assert died.error == DIED
    assert isinstance(again, RequestReceived)
    assert (again.retry_of, again.preview, again.session) == ("req_0001", "Who are you?", "session-a")
    assert isinstance(call, RequestToolCall)
    assert (call.tool_use_id, call.input, call.verdict) == ("toolu_1", {"path": "a"}, "valid")
    assert isinstance(done, RequestFinished)
    assert (done.stop_reason, done.usage.output_tokens, done.timings.done) == ("end_turn", 5, 2.0)
    assert isinstance(result, RequestToolResult)
    assert (result.is_error, result.preview, result.duration_s) == (True, "42", 0.5)
    assert isinstance(told[-1], RequestFailed)
    assert told[-1].cancelled
    assert events[-1].time == AT + 5


def test_the_last_words_of_an_answer_and_a_title_are_told(folder: Folder) -> None:
    message = {"content": [{"type": "text", "text": "x" * 500 + TITLE}, {"type": "tool_use"}]}
    title = {"content": [{"type": "text", "text": TITLE}]}
    folder.put(
        trace_of(3, response=TraceResponse(status=200, message=message)),
        trace_of(4, lane="auxiliary", response=TraceResponse(status=200, message=title)),
    )
    events = past_events(folder.path, folder.index, limit=2, before=AT + 5)
    told = [event.payload() for event in events]
    received, words, done, *_ = told
    assert isinstance(received, RequestReceived)
    assert (received.opening, received.max_tokens) == ("Who are you?", 0)
    assert isinstance(words, RequestDelta)
    assert (len(words.text), words.text[-len(TITLE) :]) == (module.LAST_WORDS, TITLE)
    assert isinstance(done, RequestFinished)
    assert done.title == ""
    assert isinstance(told[-1], RequestFinished)
    assert told[-1].title == "The till"


def test_traces_beyond_what_is_read_are_told_by_their_rows(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 0)
    events = past_events(folder.path, folder.index, limit=9, before=AT + 5)
    assert len(events) == 6
    failed = events[1].payload()
    assert isinstance(failed, RequestFailed)
    assert (failed.error.cause, failed.timings.done) == ("engine died", 2.0)
