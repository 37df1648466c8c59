from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from engine.wire.json_text import encode_json
from proxy.events.types import Event
from proxy.recordings.format import Moment, PastOfHost
from proxy.recordings.from_events import ToldRequests
from proxy.recordings.playing import PlayedTraces
from proxy.traces.analysis.why import explain
from proxy.traces.listing.usage_sums import usage_sums
from proxy.traces.reading import TraceNotFound
from tests.any_json import any_json, examples
from tests.tui.demo.plot import demo, demo_recording

QUERIES = ("is:missed", "is:failed", "tool:edit", "file:writer.py", "is:refused", "is:repaired", "speed>10")


def played(folder: Path, **changes: Any) -> PlayedTraces:
    """The demo's traces at its end, of a recording that differs so."""
    traces = PlayedTraces(replace(demo_recording(), **changes), folder)
    traces.show(9e9)
    return traces


@pytest.fixture(params=["events", "past"])
def moments(request: pytest.FixtureRequest) -> Sequence[Moment]:
    """The events of the demo as they came, or as what was before the recording."""
    whole = demo_recording()
    if request.param == "events":
        return whole.moments
    return [whole.moments[0], Moment(whole.begin, PastOfHost(demo().events()))]


def test_a_request_without_its_trace_is_listed_filtered_summed_and_explained_like_one_that_has_it(
    moments: Sequence[Moment], tmp_path: Path
) -> None:
    whole, told = played(tmp_path), played(tmp_path, moments=moments, traces={})
    for query in QUERIES:
        found = [row.id for row in told.index.page(query=query).traces]
        assert found == [row.id for row in whole.index.page(query=query).traces], query
    assert usage_sums(told.index, 0.0) == usage_sums(whole.index, 0.0)
    calls, theirs = told.index.calls(), whole.index.calls()
    assert calls.tools == theirs.tools
    assert calls.calls == theirs.calls
    for row in whole.index.page().traces:
        assert explain(told.brief(row.id), told.index) == explain(whole.brief(row.id), whole.index), row.id


def test_its_texts_are_said_to_be_missing(tmp_path: Path) -> None:
    name = next(iter(demo_recording().rows))
    with pytest.raises(TraceNotFound, match=f"figures of {name} and not its texts"):
        played(tmp_path, traces={}).load(name)


def test_one_that_the_feed_told_nothing_of_has_what_its_row_says(tmp_path: Path) -> None:
    traces = played(tmp_path, moments=demo_recording().moments[:1], traces={})
    for row in demo_recording().rows.values():
        trace = traces.brief(row.id)
        assert (trace.usage, trace.timings.done, trace.response.status) == (
            row.usage,
            row.duration_s,
            row.status,
        )
        assert (trace.response.error is not None) == bool(row.error)


def test_text_that_looks_like_the_feed_hides_nothing() -> None:
    told = {"tool_use_id": "t1", "name": "Bash", "input": {"command": '"type":"request.delta"'}}
    event = Event(seq=1, time=1.0, type="request.tool_call", request="req_1", data=told)
    line = encode_json({"at": 1.0, "event": event.model_dump()})
    (call,) = ToldRequests.of([Moment(1.0, line)], {"req_1"}).requests["req_1"].calls
    assert call.input == told["input"]


@settings(max_examples=examples(60), deadline=None)
@given(any_json(9))
def test_events_of_any_form_are_passed_over(data: Any) -> None:
    row = next(iter(demo_recording().rows.values()))
    for kind in ("received", "first_token", "tool_call", "tool_result", "finished", "failed"):
        event = {"seq": 1, "time": 1.0, "type": f"request.{kind}", "request": row.id, "data": data}
        told = ToldRequests.of([Moment(1.0, encode_json({"at": 1.0, "event": event}))], {row.id})
        assert told.trace(row).id == row.id
