"""What explains a request: its phases, what is usual, what it computed again, who was before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wire.feed import PhaseTimes
from proxy.events.types import CacheMiss, CacheVerdict, ErrorInfo, Timings, Usage
from proxy.traces.analysis.why import explain, phases_of
from proxy.traces.schema import Trace, TraceResponse
from tests.proxy.trace_making import AT, trace_of
from tests.proxy.traces.folders import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    yield folder
    folder.index.close()


def asked(
    number: int, *, prompt: int = 10_000, restored: int = 9_000, took: float = 2.0, **more: Any
) -> Trace:
    """A request that waited 0.1 s, prefilled for half of the rest, and wrote 20 tokens in the other half."""
    first = 0.1 + (took - 0.1) / 2
    made: dict[str, Any] = {
        "usage": Usage(input_tokens=prompt - restored, cache_read_input_tokens=restored, output_tokens=20),
        "timings": Timings(queued=0.01, prefill_start=0.1, first_token=first, last_token=took, done=took),
        "cache": CacheVerdict(prompt_tokens=prompt, matched_tokens=restored),
    }
    return trace_of(number, **made | more)


def missed(reason: str, prompt: int, restored: int) -> CacheVerdict:
    miss = CacheMiss.model_validate({"reason": reason, "position": restored, "segment": "system"})
    return CacheVerdict(prompt_tokens=prompt, matched_tokens=restored, miss=miss)


def test_phases_follow_each_other_and_leave_out_what_took_no_time() -> None:
    trace = asked(1, cache=CacheVerdict(prompt_tokens=9, matched_tokens=4, restore_s=0.05), took=2.1)
    assert [(phase.name, round(phase.start, 3), round(phase.seconds, 3)) for phase in phases_of(trace)] == [
        ("sending", 0.0, 0.01),
        ("waiting", 0.01, 0.09),
        ("restore", 0.1, 0.05),
        ("prefill", 0.15, 0.95),
        ("decode", 1.1, 1.0),
    ]


def test_an_upstream_that_tells_nothing_has_one_phase_up_to_its_first_token() -> None:
    trace = trace_of(1, timings=Timings(first_token=3.0, last_token=4.0, done=4.5))
    assert [(phase.name, phase.seconds) for phase in phases_of(trace)] == [
        ("upstream", 3.0),
        ("decode", 1.0),
        ("finishing", 0.5),
    ]


@pytest.mark.parametrize(
    ("error", "done", "last"),
    [
        (ErrorInfo(type="e", message="it has been silent"), 34.0, "silence"),
        (ErrorInfo(type="e", message="it broke off"), 4.5, "finishing"),
        (None, 34.0, "finishing"),
    ],
)
def test_what_was_waited_for_in_vain_before_a_failure_is_silence(
    error: ErrorInfo | None, done: float, last: str
) -> None:
    trace = trace_of(1, timings=Timings(first_token=3.0, last_token=4.0, done=done))
    trace.response.error = error
    assert phases_of(trace)[-1].name == last


@pytest.mark.parametrize(
    ("backend", "message", "last"),
    [
        ("mlx", "prompt is too long: 360011 tokens > 262144 maximum", "tokenizing"),
        (
            "vllm-mlx",
            "input length and max_tokens exceed context limit: 190000 + 90000 > 262144",
            "tokenizing",
        ),
        ("mlx", "the engine ended", "upstream"),
        ("openrouter", "prompt is too long: 360011 tokens > 262144 maximum", "upstream"),
    ],
)
def test_a_prompt_that_the_engine_refused_for_its_length_was_being_tokenized(
    backend: str, message: str, last: str
) -> None:
    refused = TraceResponse(status=400, error=ErrorInfo(type="invalid_request_error", message=message))
    trace = trace_of(1, backend=backend, response=refused, timings=Timings(done=7.6))
    assert [(phase.name, phase.seconds) for phase in phases_of(trace)] == [(last, 7.6)]


def told(**seconds: float) -> PhaseTimes:
    before = {"render_wait_s": 0.1, "template_s": 0.5, "tokenize_s": 0.2, "grammar_s": 0.1}
    return PhaseTimes(**before | seconds)


def test_the_engines_own_times_are_rows_of_their_own() -> None:
    engine = told(waiting_s=1.0, lookup_s=0.1, restore_s=2.0, prefill_s=3.0, first_token_s=0.5)
    # The proxy heard late of all: the first token, 0.1 s after it was made, is the best witness.
    trace = trace_of(1, timings=Timings(queued=2.0, first_token=7.7, last_token=9.0, done=9.0, engine=engine))
    assert [(phase.name, round(phase.start, 3), round(phase.seconds, 3)) for phase in phases_of(trace)] == [
        ("sending", 0.0, 0.2),
        ("waiting", 0.2, 0.1),
        ("template", 0.3, 0.5),
        ("tokenizing", 0.8, 0.2),
        ("grammar", 1.0, 0.1),
        ("waiting", 1.1, 1.0),
        ("lookup", 2.1, 0.1),
        ("restore", 2.2, 2.0),
        ("prefill", 4.2, 3.0),
        ("first token", 7.2, 0.5),
        ("decode", 7.7, 1.3),
    ]


@pytest.mark.parametrize(
    ("engine", "last"),
    [
        (told(), "waiting"),
        (told(waiting_s=1.0, lookup_s=0.1, restore_s=0.0), "prefill"),
    ],
)
def test_what_ended_before_its_answer_ends_in_its_phase(engine: PhaseTimes, last: str) -> None:
    phases = phases_of(trace_of(1, timings=Timings(queued=1.0, done=9.0, engine=engine)))
    assert (phases[-1].name, phases[-1].start + phases[-1].seconds) == (last, 9.0)


@pytest.mark.parametrize("slow", ["template", "tokenizing", "lookup", "restore", "prefill"])
def test_the_slowest_phase_of_the_engine_is_the_cause(folder: Folder, slow: str) -> None:
    field = {"tokenizing": "tokenize"}.get(slow, slow)
    engine = told(waiting_s=0.1, lookup_s=0.1, restore_s=0.1, prefill_s=0.1, first_token_s=0.1)
    engine = replace(engine, **{f"{field}_s": 20.0})
    times = Timings(queued=21.0, first_token=22.0, last_token=22.5, done=22.5, engine=engine)
    why = explain(trace_of(1, timings=times), folder.index)
    assert (why.verdict, why.longest) == ("slow", slow)


SECONDS = st.none() | st.floats(0, 100, allow_nan=False)


TIMES = dict.fromkeys(("queued", "prefill_start", "first_token", "last_token", "done"), SECONDS)


ENGINE = st.none() | st.builds(
    PhaseTimes, **dict.fromkeys([field.name for field in fields(PhaseTimes)], SECONDS)
)


@given(times=st.builds(Timings, **TIMES, engine=ENGINE), restore_s=st.floats(0, 200))
def test_phases_have_no_gap_whatever_a_trace_says(times: Timings, restore_s: float) -> None:
    phases = phases_of(trace_of(1, timings=times, cache=CacheVerdict(restore_s=restore_s)))
    assert all(phase.seconds > 0 for phase in phases)
    at = 0.0
    for phase in phases:
        assert phase.start == pytest.approx(at)
        at = phase.start + phase.seconds


def test_usual_is_the_median_of_like_requests_of_the_session_before(folder: Folder) -> None:
    folder.put(
        *[asked(number, took=float(number)) for number in (1, 2, 3)],
        asked(4, prompt=90_000, took=60.0),  # of another size
        asked(5, lane="subagent", took=50.0),
        asked(6, response=TraceResponse(status=529, error=ErrorInfo(type="e", message="m")), took=40.0),
    )
    why = explain(asked(7, took=6.0), folder.index)
    assert why.usual is not None
    assert (why.usual.of, why.usual.requests, why.usual.took_s) == ("session", 3, 2.0)
    assert why.verdict == "slow"
    assert explain(asked(8, took=2.5), folder.index).verdict == "usual"


def test_two_requests_make_no_usual_and_a_cancelled_one_is_not_like_another(folder: Folder) -> None:
    left = TraceResponse(status=499, error=ErrorInfo(type="e", message="m"), cancelled=True)
    folder.put(asked(1), asked(2), asked(3, response=left, took=60.0))
    assert explain(asked(4), folder.index).usual is None
    folder.put(asked(5))
    usual = explain(asked(6), folder.index).usual
    assert usual is not None
    assert (usual.requests, usual.took_s) == (3, 2.0)


@pytest.mark.parametrize(
    ("usual", "took", "verdict"),
    [
        (0.4, 1.2, "usual"),  # three times as long, and nobody noticed
        (0.4, 1.5, "slow"),
        (10.0, 14.0, "usual"),  # four seconds longer, and not half as long again
        (10.0, 15.0, "slow"),
    ],
)
def test_slow_is_what_took_half_as_long_again_and_a_second_longer(
    folder: Folder, usual: float, took: float, verdict: str
) -> None:
    folder.put(*[asked(number, took=usual) for number in (1, 2, 3)])
    assert explain(asked(4, took=took), folder.index).verdict == verdict


@pytest.mark.parametrize(("first", "verdict"), [(10.0, "slow"), (9.9, "usual")])
def test_ten_seconds_to_the_first_token_are_slow_whatever_is_usual(
    folder: Folder, first: float, verdict: str
) -> None:
    times = Timings(queued=0.1, first_token=first, last_token=first + 1, done=first + 1)
    assert explain(trace_of(1, timings=times), folder.index).verdict == verdict


def test_where_a_session_is_young_its_model_says_what_is_usual(folder: Folder) -> None:
    folder.put(*[asked(number, session=f"s{number}", upstream_model="Qwen") for number in (1, 2, 3)])
    why = explain(asked(4, session="new", upstream_model="Qwen"), folder.index)
    assert why.usual is not None
    assert why.usual.of == "model"
    assert explain(asked(5, session="new", upstream_model="other"), folder.index).usual is None


@pytest.mark.parametrize(("reason", "lost"), [("diverged", 6_000), ("evicted", 6_000), ("cold", 0)])
def test_what_the_request_before_had_is_lost_where_it_is_computed_again(
    folder: Folder, reason: str, lost: int
) -> None:
    folder.put(asked(1, prompt=9_000))
    trace = asked(2, prompt=11_000, restored=3_000, cache=missed(reason, 11_000, 3_000), took=4.1)
    why = explain(trace, folder.index)
    assert why.lost_tokens == lost
    assert why.verdict == ("missed" if lost else "usual")
    assert why.lost_s == (pytest.approx(2.0 * 6_000 / 8_000) if lost else None)


@pytest.mark.parametrize(("lost", "verdict"), [(255, "usual"), (256, "missed")])
def test_the_end_of_a_turn_is_no_loss(folder: Folder, lost: int, verdict: str) -> None:
    folder.put(asked(1, prompt=10_000))
    restored = 10_000 - lost
    trace = asked(2, prompt=11_000, restored=restored, cache=missed("diverged", 11_000, restored))
    assert explain(trace, folder.index).verdict == verdict


def test_a_shorter_prompt_cannot_have_lost_more_than_it_has(folder: Folder) -> None:
    folder.put(asked(1, prompt=90_000))
    trace = asked(2, prompt=11_000, restored=3_000, cache=missed("diverged", 11_000, 3_000))
    assert explain(trace, folder.index).lost_tokens == 8_000


def test_what_an_eviction_cost_is_lost_also_without_a_request_before(folder: Folder) -> None:
    cache = missed("evicted", 10_000, 2_000)
    assert cache.miss is not None
    known = cache.miss.model_copy(update={"lost_tokens": 7_500, "evicted_session": "s2"})
    trace = asked(1, restored=2_000, cache=cache.model_copy(update={"miss": known}))
    why = explain(trace, folder.index)
    assert (why.lost_tokens, why.verdict, why.miss) == (7_500, "missed", known)


def test_the_first_prompt_of_a_session_has_lost_nothing(folder: Folder) -> None:
    trace = asked(1, restored=0, cache=missed("diverged", 10_000, 0))
    assert explain(trace, folder.index).lost_tokens == 0


def test_who_ran_while_it_waited_is_named_longest_first(folder: Folder) -> None:
    waiting = Timings(queued=0.5, prefill_start=10.5, first_token=11.0, last_token=12.0, done=12.0)
    folder.put(
        trace_of(1, time=AT - 5, session="Whole", timings=Timings(done=40.0, first_token=1.0)),
        trace_of(2, time=AT + 8, session="end", timings=Timings(done=9.0, first_token=1.0)),
        trace_of(3, time=AT - 50, session="gone", timings=Timings(done=9.0, first_token=1.0)),
        trace_of(4, time=AT + 11, session="later", timings=Timings(done=9.0, first_token=1.0)),
    )
    why = explain(trace_of(5, time=AT, timings=waiting), folder.index)
    assert [(ahead.session, round(ahead.seconds, 3)) for ahead in why.ahead] == [
        ("whole", 10.0),
        ("end", 2.5),
    ]
    assert why.longest == "waiting"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (TraceResponse(status=529, error=ErrorInfo(type="e", message="m")), "failed"),
        (TraceResponse(status=499, error=ErrorInfo(type="e", message="m"), cancelled=True), "cancelled"),
    ],
)
def test_what_did_not_end_well_says_so_first(folder: Folder, answer: TraceResponse, verdict: str) -> None:
    assert explain(asked(1, response=answer, took=90.0), folder.index).verdict == verdict


def test_what_became_of_a_failed_request_is_told(folder: Folder) -> None:
    failed = TraceResponse(status=529, error=ErrorInfo(type="overloaded_error", message="m"))
    first = asked(1, response=failed, took=2.0)
    assert explain(first, folder.index).repeat is None
    folder.put(first, asked(2), asked(9, retry_of=first.id))
    repeat = explain(first, folder.index).repeat
    assert repeat is not None
    assert (repeat.id, repeat.after_s, repeat.failed) == (trace_of(9).id, pytest.approx(6.0), False)


def test_of_several_repeats_the_last_one_tells_the_end(folder: Folder) -> None:
    failed = TraceResponse(status=529, error=ErrorInfo(type="overloaded_error", message="m"))
    first = asked(1, response=failed, took=2.0)
    second = asked(4, retry_of=first.id, response=failed)
    folder.put(first, second)
    repeat = explain(first, folder.index).repeat
    assert repeat is not None
    assert (repeat.id, repeat.failed, repeat.times) == (second.id, True, 1)
    folder.put(asked(9, retry_of=second.id))
    repeat = explain(first, folder.index).repeat
    assert repeat is not None
    assert (repeat.id, repeat.after_s, repeat.failed, repeat.times) == (
        trace_of(9).id,
        pytest.approx(6.0),
        False,
        2,
    )


def test_it_is_told_whose_request_it_is(folder: Folder) -> None:
    trace = asked(1, session="s-1", lane="subagent", agent_type="Explore")
    found = explain(trace, folder.index)
    assert (found.time, found.session, found.lane, found.agent_type) == (
        trace.time,
        "s-1",
        "subagent",
        "Explore",
    )
