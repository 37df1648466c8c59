"""The store: events in, snapshots out."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.events.health_types import LogEntry
from proxy.events.types import PAYLOADS, Event, HostState
from proxy.timeline.buckets import HealthSample
from proxy.timeline.health_history import HealthHistory, StateMark
from tests.tui.traffic import Morning
from tui.client.inbox import Damaged
from tui.client.records import Link, Snapshot
from tui.client.reducers.requests import LIMIT
from tui.client.store import Store


def play(*events: tuple[str, dict[str, Any]], store: Store | None = None, request: str = "r") -> Store:
    """Events one second after the other, all of one request."""
    store = store or Store()
    for seq, (kind, data) in enumerate(events, 1):
        store.apply(Event(seq=seq, time=100.0 + seq, type=kind, request=request, data=data))
    return store


USAGE = {
    "input_tokens": 5,
    "cache_creation_input_tokens": 15,
    "cache_read_input_tokens": 80,
    "output_tokens": 7,
}
RECEIVED: tuple[str, dict[str, Any]] = (
    "request.received",
    {"session": "s1", "lane": "subagent", "model": "m"},
)


def test_a_request_goes_through_its_phases() -> None:
    store = play(RECEIVED)
    steps: list[tuple[str, dict[str, Any], str]] = [
        ("request.queued", {"position": 2}, "queued"),
        ("request.prefill", {"done": 50, "total": 100, "cached": 40}, "prefill"),
        ("request.first_token", {"ttft_s": 0.5, "usage": USAGE}, "decode"),
        ("request.delta", {"text": "Hi", "output_tokens": 2, "tokens_per_s": 40.0}, "decode"),
        ("request.finished", {"stop_reason": "end_turn", "usage": USAGE, "trace": "mlx/r.json"}, "done"),
    ]
    assert store.snapshot().requests[0].phase == "received"
    for seq, (kind, data, phase) in enumerate(steps, 2):
        store.apply(Event(seq=seq, time=100.0 + seq, type=kind, request="r", data=data))
        assert store.snapshot().requests[0].phase == phase
    record = store.snapshot().requests[0]
    assert (record.lane, record.prompt_tokens, record.reused_tokens, record.kept_tokens) == (
        "subagent",
        100,
        80,
        15,
    )
    assert (record.output_tokens, record.ttft_s, record.stop_reason) == (7, 0.5, "end_turn")
    assert record.duration_s(now=1e9) == 5.0
    assert store.snapshot().active == ()
    assert store.snapshot().traced == 1


@pytest.mark.parametrize("kind", ["request.finished", "request.failed"])
def test_a_request_took_what_its_trace_says(kind: str) -> None:
    """The event of its end comes later than its end: the trace is written in between."""
    store = play(RECEIVED)
    received = store.snapshot().requests[0].received
    end = {"timings": {"done": 0.25}, "error": {"type": "api_error", "message": "broken"}}
    store.apply(Event(seq=2, time=received + 0.5, type=kind, request="r", data=end))
    assert store.snapshot().requests[0].duration_s(now=1e9) == 0.25


def test_the_transcript_keeps_kinds_and_order() -> None:
    store = play(
        RECEIVED,
        ("request.delta", {"kind": "thinking", "text": "hm"}),
        ("request.delta", {"text": "Hello \x1b[2Jworld"}),
        ("request.tool_call", {"tool_use_id": "t1", "name": "Read", "input": {"file_path": "/x"}}),
        ("request.failed", {"error": {"type": "api_error", "message": "gone"}}),
    )
    transcript = store.transcript("r")
    assert transcript is not None
    assert [tuple(piece) for piece in transcript.since(0)] == [
        ("thinking", "hm", "", ""),
        ("text", "Hello world", "", ""),
        ("call", "Read  /x", "", "t1"),
        ("error", "upstream failed: gone", "", ""),
    ]
    assert transcript.since(3)[0].kind == "error"


def test_the_arguments_of_a_call_take_the_place_of_its_marks() -> None:
    written = [
        ("request.delta", {"kind": "tool", "text": "<tool_call>\n<function=Read", "tool": ""}),
        ("request.delta", {"kind": "tool", "text": '{"file_path": ', "tool": "Read"}),
        ("request.delta", {"kind": "tool", "text": '"/x"}', "tool": "Read"}),
    ]
    transcript = play(RECEIVED, *written).transcript("r")
    assert transcript is not None
    assert "".join(piece.text for piece in transcript.draft()) == '{"file_path": "/x"}'
    call = {"tool_use_id": "t1", "name": "Read", "input": {"file_path": "/x"}}
    transcript = play(RECEIVED, *written, ("request.tool_call", call)).transcript("r")
    assert transcript is not None
    assert [piece.kind for piece in transcript.since(0)] == ["call"]


def test_a_tool_result_finds_its_call() -> None:
    store = play(
        RECEIVED,
        (
            "request.tool_call",
            {"tool_use_id": "t1", "name": "Bash", "input": {"command": "ls"}, "verdict": "valid"},
        ),
        ("request.tool_call", {"tool_use_id": "t2", "name": "Bash", "raw": "<x", "verdict": "unparsed"}),
        ("request.tool_result", {"tool_use_id": "t1", "is_error": True, "duration_s": 1.5, "preview": "no"}),
        ("request.tool_result", {"tool_use_id": "t9", "name": "Read", "preview": "seen only here"}),
    )
    first, second, third = store.snapshot().tools
    assert (first.is_error, first.duration_s, first.result, first.session) == (True, 1.5, "no", "s1")
    assert second.answered is None
    assert (third.name, third.verdict) == ("Read", "unchecked")
    bash = store.snapshot().tool_stats[0]
    assert (bash.name, bash.calls, bash.invalid, bash.results, bash.errors) == ("Bash", 2, 1, 1, 1)
    assert bash.last_s == 1.5
    totals = store.snapshot().totals
    assert (totals.tool_calls, totals.tool_calls_invalid, totals.tool_results, totals.tool_errors) == (
        2,
        1,
        2,
        1,
    )


def test_what_made_a_call_usable_is_kept_and_counted() -> None:
    mended = {"constrained": False, "repairs": ["a brace was\nmissing"], "verdict": "valid"}
    store = play(
        RECEIVED,
        (
            "request.tool_call",
            {
                "tool_use_id": "t1",
                "name": "Read",
                "raw": "<call>",
                "raw_tokens": 9,
                "family": "hermes",
                "relaxed": "a pattern",
                "constrained": True,
                "verdict": "valid",
            },
        ),
        ("request.tool_call", {"tool_use_id": "t2", "name": "Read", **mended}),
        ("request.tool_call", {"tool_use_id": "t3", "name": "Read", "verdict": "cut"}),
    )
    held, repaired, cut = store.snapshot().tools
    assert (held.family, held.constrained, held.relaxed) == ("hermes", True, "a pattern")
    assert (held.raw_tokens, held.repaired) == (9, False)
    assert (repaired.repairs, repaired.repaired) == (("a brace was missing",), True)
    assert "relaxed" in held.search_text
    assert "repaired" in repaired.search_text
    assert cut.verdict == "cut"
    read = store.snapshot().tool_stats[0]
    assert (read.calls, read.repaired, read.invalid) == (3, 1, 0)
    assert store.snapshot().totals.tool_calls_repaired == 1


def test_unchanged_parts_of_a_view_stay_the_same_objects() -> None:
    store = play(RECEIVED, ("engine.log", {"line": "one"}))
    before = store.snapshot()
    assert store.snapshot() is before
    store.apply(Event(seq=3, time=103.0, type="engine.log", data={"line": "two"}))
    after = store.snapshot()
    assert after.requests is before.requests
    assert after.log is not before.log


def test_a_late_screen_counts_what_the_host_counted_and_no_event_twice() -> None:
    morning = Morning().play()
    store = Store()
    for arrival in morning.arrivals():
        store.take(arrival)
    store.set_link(Link("ended", since=morning.now))  # what runs is counted before it ends
    assert store.snapshot().totals == morning.counters
    morning.emit("request.received", "late")
    store.apply(morning.events[-1])
    assert store.snapshot().totals.requests == morning.counters.requests
    assert store.snapshot().lost == store.snapshot().damaged == 0
    assert [line.text for line in store.snapshot().log] == [line.text for line in morning.state().log]
    assert sum(line.source == "engine" for line in store.snapshot().log) == sum(
        event.type == "engine.log" for event in morning.events
    )


def test_another_host_starts_an_empty_store_and_the_same_one_does_not() -> None:
    morning = Morning().play()
    store = Store()
    for arrival in morning.arrivals():
        store.take(arrival)
    store.begin(morning.state())
    assert store.snapshot().requests
    store.begin(morning.state().model_copy(update={"pid": 1, "seq": 0}))
    assert store.snapshot().requests == ()
    store.apply(Event(seq=1, time=1.0, type="request.received", request="new", data={}))
    assert [record.id for record in store.snapshot().requests] == ["new"]


def test_lost_events_are_counted_once_whoever_tells() -> None:
    store = play(RECEIVED)
    store.apply(Event(seq=5, time=1.0, type="engine.log", data={"line": "after a gap of three"}))
    assert store.snapshot().lost == 3
    assert store.wants_state
    store.apply(Event(seq=9, time=1.0, type="host.lost", data={"count": 4}))
    store.apply(Event(seq=10, time=1.0, type="engine.log", data={"line": "next"}))
    assert store.snapshot().lost == 7
    store.apply(Event(seq=10, time=1.0, type="engine.log", data={"line": "again"}))
    assert [line.text for line in store.snapshot().log] == [
        "after a gap of three",
        "4 events were lost on the way to here",
        "next",
    ]


def test_a_request_whose_end_was_lost_does_not_run_for_ever() -> None:
    store = play(RECEIVED)
    store.expire(1e6)
    assert store.snapshot().active
    store.lose(2, 150.0)
    store.expire(110.0)
    assert store.snapshot().active
    store.expire(200.0)
    assert store.snapshot().requests[0].phase == "lost"


def test_what_cannot_be_read_is_counted_and_passed_over() -> None:
    store = play(RECEIVED, ("request.first_token", {"ttft_s": "soon"}), ("request.new_in_2031", {"x": 1}))
    store.take(Damaged())
    assert store.snapshot().damaged == 2
    assert store.snapshot().requests[0].phase == "received"


def test_the_link_is_part_of_the_picture() -> None:
    store = Store()
    store.take(Link("reconnecting", "a\x1b[1mb", 1.0, 2))
    assert store.snapshot().link == Link("reconnecting", "ab", 1.0, 2)


def test_old_requests_are_forgotten_but_never_active_ones() -> None:
    store = Store()
    for number in range(LIMIT + 10):
        seq = 2 * number + 1
        key = f"r{number}"
        store.apply(Event(seq=seq, time=1.0, type="request.received", request=key, data={}))
        if number:
            store.apply(Event(seq=seq + 1, time=1.0, type="request.finished", request=key, data={}))
        else:
            store.apply(Event(seq=seq + 1, time=1.0, type="request.queued", request=key, data={}))
    requests = store.snapshot().requests
    assert len(requests) == LIMIT
    assert requests[0].id == "r0"
    assert requests[0].active


def test_the_output_rate_is_spread_over_the_time_it_took() -> None:
    done = {
        "usage": {"output_tokens": 40},
        "timings": {"first_token": 1.0, "last_token": 5.0},
    }
    store = play(RECEIVED, ("request.finished", done))
    assert sum(store.output_rate.rates(110.0, 20)) == 40
    assert max(store.output_rate.rates(110.0, 20)) == 10


def test_an_answer_in_one_piece_was_written_while_the_request_waited_for_it() -> None:
    done = {"usage": {"output_tokens": 40}, "timings": {"first_token": 3.99, "last_token": 4.0}}
    waited = [("request.queued", {})] * 3
    store = play(RECEIVED, *waited, ("request.finished", done))
    assert sum(store.output_rate.rates(110.0, 20)) == 40
    assert max(store.output_rate.rates(110.0, 20)) == 10


def test_the_store_needs_no_screen() -> None:
    heavy = ("textual", "httpx", "pydantic")
    program = f"import sys, tui.client.store; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# -- any sequence of events ---------------------------------------------------------------------------------

WIRE_TEXT = st.text(st.characters(exclude_categories=[]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WIRE_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WIRE_TEXT, inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted({name for model in PAYLOADS.values() for name in model.model_fields})
SMALL = st.integers(0, 2000)
DATA = st.dictionaries(st.sampled_from(FIELDS), VALUES | SMALL, max_size=6)
SOUND = st.fixed_dictionaries(
    {"ttft_s": st.floats(0, 9), "tool_use_id": st.sampled_from("ab"), "name": WIRE_TEXT, "line": WIRE_TEXT},
    optional={
        "usage": st.fixed_dictionaries({}, optional=dict.fromkeys(USAGE, SMALL)),
        "error": st.just({"type": "x", "message": "y"}),
        "output_tokens": SMALL,
        "text": WIRE_TEXT,
        "raw": WIRE_TEXT,
        "count": SMALL,
        "total": st.integers(),
        "done": st.integers(),
        "cached": st.integers(),
        "cancelled": st.booleans(),
        "is_error": st.booleans(),
        "duration_s": st.floats(),
        "state": st.sampled_from(["ready", "busy", "failed"]),
        "memory_bytes": SMALL,
        "trace": WIRE_TEXT,
    },
)
EVENTS = st.builds(
    Event,
    seq=st.integers(-5, 60),
    time=st.floats(0, 2e9) | st.floats(),
    type=st.sampled_from(sorted(PAYLOADS)) | WIRE_TEXT,
    request=st.none() | st.sampled_from(["r1", "r2", "\x1b[2J"]) | WIRE_TEXT,
    data=SOUND | DATA,
)


@given(st.lists(EVENTS, max_size=40), st.booleans())
@settings(max_examples=80)
def test_no_sequence_of_events_upsets_it(events: list[Event], in_order: bool) -> None:
    store = Store()
    for seq, event in enumerate(events, 1):
        store.take(event.model_copy(update={"seq": seq}) if in_order else event)
        check(store.snapshot())
    store.expire(3e9)
    check(store.snapshot())


def check(snapshot: Snapshot) -> None:
    """What holds whatever came."""
    totals = snapshot.totals
    assert totals.finished + totals.failed + totals.cancelled <= snapshot.seq + 1
    assert len({record.id for record in snapshot.requests}) == len(snapshot.requests)
    assert set(snapshot.active) <= set(snapshot.requests)
    for record in snapshot.requests:
        if (prefill := record.prefill) is not None:
            assert 0 <= prefill.cached <= prefill.done <= prefill.total
        assert "\x1b" not in record.search_text
        assert record.duration_s(3e9) >= 0 or math.isnan(record.received)
    for call in snapshot.tools:
        assert "\x1b" not in call.search_text
    for line in snapshot.log:
        assert "\x1b" not in line.text + line.request
    assert snapshot.lost >= 0
    assert snapshot.damaged >= 0


def test_a_screen_begins_with_the_week_of_its_host_and_counts_no_token_twice() -> None:
    known = HealthHistory()
    known.samples.add(95.0, HealthSample(tokens=100.0))
    known.marks.append(StateMark(50.0, "off"))
    history = {"covers": 3, **known.dump()}
    store = Store()
    store.recall([Event(seq=0, time=104.0, type="host.history", data=history)])
    deltas = [
        (name, {"output_tokens": count, "text": "x"})
        for name, count in (("request.delta", 40), ("request.delta", 70))
    ]
    for seq, (kind, data) in enumerate(
        [RECEIVED, *deltas[:1], ("engine.state", {"state": "ready"}), *deltas[1:]], 1
    ):
        store.apply(Event(seq=seq, time=100.0 + seq, type=kind, request="r", data=data))
    [cell] = store.health.samples.cells(0.0, 120.0, 1, 120.0)
    assert cell is not None
    # What the host's own account covers is in it; of the answer that runs only the rest is added.
    assert cell.tokens * 120 == pytest.approx(130.0, rel=0.05)
    assert [mark.state for mark in store.health.marks] == ["off"]
    store.recall([Event(seq=0, time=104.0, type="host.history", data={"samples": [[["x"]]]})])
    store.recall([Event(seq=0, time=104.0, type="host.history", data={"spans": [[1.0, 2.0]]})])
    assert store.snapshot().damaged == 2
    assert len(store.health.spans) == 0


def test_failures_from_before_the_host_are_in_its_log_in_their_place() -> None:
    morning = Morning().play()
    store = Store()
    store.begin(morning.state())
    error = {"type": "api_error", "message": "x cannot be reached"}
    store.recall(
        [Event(seq=0, time=5.0, type="request.failed", request="old", data={"error": error, "status": 529})]
    )
    first = store.snapshot().log[0]
    assert (first.time, first.level, first.source, first.request) == (5.0, "error", "upstream", "old")
    assert first.text == "no upstream: x cannot be reached"


def test_an_engine_s_end_under_an_earlier_host_is_an_error_of_the_log_once_and_stays_there() -> None:
    """The timeline counts it, so the way from error to error has to find it."""
    morning = Morning().play()
    state = morning.state()
    marks = [[5.0, "exited", "engine exited with signal 9", False], [state.started, "host", "", False]]
    store = Store()
    store.begin(state)
    error = {"type": "api_error", "message": "x cannot be reached"}
    failed = {"error": error, "status": 529}
    store.recall(
        [
            Event(seq=0, time=6.0, type="request.failed", request="old", data=failed),
            Event(seq=0, time=104.0, type="host.history", data={"covers": 3, "marks": marks}),
        ]
    )

    def earlier() -> list[tuple[float, str]]:
        return [(line.time, line.level) for line in store.snapshot().log if line.time < state.started]

    assert earlier() == [(5.0, "error"), (6.0, "error")]
    own = LogEntry(time=5.0, source="host", level="error", text="engine exited with signal 9")
    before = len(store.snapshot().log)
    store.begin(state.model_copy(update={"log": [own, *state.log]}))
    assert earlier() == [(5.0, "error"), (6.0, "error")]
    assert len(store.snapshot().log) == before


def test_a_state_from_elsewhere_is_cleaned_too() -> None:
    state = Morning().state().model_dump() | {
        "model": "a\x1b]0;x\x07b",
        "engine_log": ["l\x1b[1m"],
        "log": [],
    }
    state["engine"]["detail"] = "d\x07"
    store = Store()
    store.begin(HostState.model_validate(state))
    snapshot = store.snapshot()
    assert snapshot.host is not None
    assert snapshot.host.model == "ab"
    assert snapshot.log[0].text == "l"
    assert snapshot.engine is not None
    assert snapshot.engine.detail == "d"


def failed(message: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return (
        "request.failed",
        {"status": 529, "error": {"type": "overloaded_error", "message": message, **more}},
    )


def at(store: Store, seq: int, request: str, event: tuple[str, dict[str, Any]]) -> None:
    store.apply(Event(seq=seq, time=100.0 + seq, type=event[0], request=request, data=event[1]))


def test_a_failure_shows_what_became_of_its_last_repeat_and_is_none_for_good() -> None:
    store = Store()
    at(store, 1, "a", RECEIVED)
    at(store, 2, "a", failed("signal 9", cause="engine died"))
    assert store.snapshot().totals.failed_for_good == 1
    at(store, 3, "b", ("request.received", {"retry_of": "a"}))
    first = store.snapshot().requests[0]
    assert (first.cause, first.repeat) == ("engine died", (103.0, "received"))
    at(store, 4, "b", failed("the engine is loading"))
    at(store, 5, "c", ("request.received", {"retry_of": "b"}))
    at(store, 6, "c", ("request.finished", {"usage": USAGE}))
    assert [record.repeat for record in store.snapshot().requests] == [(105.0, "done"), (105.0, "done"), None]
    assert store.snapshot().totals.failed_for_good == 0
    at(store, 7, "b", ("request.tool_call", {"tool_use_id": "t1", "name": "Read"}))  # told late
    assert store.snapshot().requests[0].repeat == (105.0, "done")
    at(store, 8, "d", ("request.received", {"retry_of": "d"}))  # a host that is not ours may say so
    assert store.snapshot().requests[3].repeat is None


@pytest.mark.parametrize(
    ("error", "cause", "prompt"),
    [
        ({"message": "10.0.0.7:8000 cannot be reached (refused); please retry"}, "no upstream", 0),
        ({"message": "the connection to the engine was lost (eof)"}, "engine died", 0),
        ({"message": "the engine is not ready: 8 requests wait already; try again"}, "queue full", 0),
        ({"message": "prompt is too long: 360011 tokens > 262144 maximum"}, "prompt too long", 360_011),
        ({"message": "Overloaded"}, "upstream overloaded", 0),
        ({"message": "anything", "cause": "no upstream"}, "no upstream", 0),
        ({"type": "new_error", "message": ""}, "new_error", 0),
    ],
)
def test_a_failure_has_a_cause_also_where_the_host_names_none(
    error: dict[str, Any], cause: str, prompt: int
) -> None:
    told = {"status": 529, "error": {"type": "overloaded_error"} | error}
    record = play(RECEIVED, ("request.failed", told)).snapshot().requests[0]
    assert (record.cause, record.prompt_tokens) == (cause, prompt)


def test_totals_count_what_runs() -> None:
    store = play(RECEIVED, ("request.prefill", {"done": 90, "total": 100, "cached": 80}))
    totals = store.snapshot().totals
    assert (totals.cache_read_input_tokens, totals.prompt_tokens, totals.output_tokens) == (80, 90, 0)
    at(store, 3, "r", ("request.first_token", {"ttft_s": 0.5, "usage": USAGE}))
    at(store, 4, "r", ("request.delta", {"text": "Hi", "output_tokens": 6}))
    running = store.snapshot().totals
    at(store, 5, "r", ("request.finished", {"usage": USAGE}))
    ended = store.snapshot().totals
    assert running.prompt_tokens == ended.prompt_tokens == 100
    assert (running.output_tokens, ended.output_tokens) == (6, 7)


@pytest.mark.parametrize(("times", "shown"), [([7.0, 8.0], [7.0, 8.0]), ([], [0.0, 0.0])])
def test_lines_of_the_log_keep_their_times(times: list[float], shown: list[float]) -> None:
    state = Morning().state().model_dump() | {"log": []}
    state |= {"engine_log": ["a", "b"], "engine_log_times": times}
    store = Store()
    store.begin(HostState.model_validate(state))
    assert [line.time for line in store.snapshot().log] == shown
