from __future__ import annotations

import random

import pytest

from proxy.events.metrics import Estimates
from proxy.events.types import ErrorInfo, Timings, Usage
from proxy.traces.metrics.host_run import HostRun
from proxy.traces.schema import TraceResponse
from tests.proxy.trace_making import trace_of
from tests.proxy.traces.analysis.test_analysis import PRICES, some_trace, sums, told


def test_its_sums_are_those_of_its_traces_at_any_time() -> None:
    run, chance = HostRun(PRICES, clock=lambda: 0.0), random.Random(5)
    rows = []
    for number in range(1, 31):
        trace = some_trace(number, chance)
        run.ended(trace)
        rows.append(trace.model_dump())
        if number % 10 == 0:
            assert told(run.sums().total) == pytest.approx(sums(rows))


def test_the_report_is_a_few_plain_lines() -> None:
    now = [1000.0]
    run = HostRun(PRICES, clock=lambda: now[0])
    assert (run.report(), run.estimates()) == ([], Estimates())
    cold = Usage(input_tokens=1000, cache_creation_input_tokens=1000, output_tokens=11)
    warm = Usage(input_tokens=10, cache_read_input_tokens=3_990_000, output_tokens=11)
    slow = Timings(prefill_start=0.0, first_token=4.0, done=5.5)
    run.ended(trace_of(1, usage=cold, timings=slow, model="claude-y"))
    run.ended(trace_of(2, usage=warm, timings=Timings(first_token=0.5, done=2.0)))
    now[0] += 3725
    assert run.report() == [
        "this run: 2 requests in 1 h 02 min",
        "cache: 50.0% of requests and 99.9% of 3,992,010 prompt tokens hit (3,990,000 restored, 1,000 cached,"
        " 1,010 not kept); 22 tokens out",
        "TTFT: warm 0.50 s (90%: 0.50 s) in 1; cold 4.00 s (90%: 4.00 s) in 1",
        "the same tokens would have cost 4.00 by the configuration's prices",
    ]
    run.ended(trace_of(3, usage=cold, timings=slow))
    assert run.report()[0] == "this run: 3 requests in 1 h 02 min"
    assert run.report()[-1].startswith("about 2 h 13 min of prefill saved; the same tokens would")
    assert run.estimates().unpriced == 0


def test_the_report_says_what_it_leaves_out_and_the_estimates_are_of_all_requests() -> None:
    run = HostRun(PRICES, clock=lambda: 0.0)
    usage = Usage(input_tokens=1000, output_tokens=11)
    asked = trace_of(1).request.model_copy(update={"headers": {"user-agent": "anyclaude-tui-doctor"}})
    run.ended(trace_of(1, usage=usage, model="nobody's", upstream_model="", request=asked))
    assert run.report() == []
    run.ended(trace_of(2, usage=usage, model="nobody's", upstream_model=""))
    assert run.report()[0] == "this run: 1 request in 0.0 s; 1 of verify, doctor and replay not counted"
    assert run.estimates().unpriced == 2


def test_what_a_server_keeps_of_a_prompt_is_not_said_where_it_tells_nothing() -> None:
    run = HostRun(PRICES, clock=lambda: 0.0)
    run.ended(trace_of(1, usage=Usage(input_tokens=800, cache_read_input_tokens=900, output_tokens=60)))
    assert "(900 restored, 800 prefilled); 60 tokens out" in run.report()[1]


def test_what_was_repeated_did_not_fail_for_good() -> None:
    run = HostRun(PRICES, clock=lambda: 0.0)
    broke = TraceResponse(status=529, error=ErrorInfo(type="overloaded_error", message="the engine ended"))
    left = broke.model_copy(update={"cancelled": True})
    run.ended(trace_of(1, response=broke))
    run.ended(trace_of(2, response=broke, retry_of="req_0001"))
    assert run.report()[0] == "this run: 2 requests, 1 failed, 1 failed and repeated in 0.0 s"
    run.ended(trace_of(3, retry_of="req_0002"))
    run.ended(trace_of(4, response=left))
    assert run.report()[0] == "this run: 4 requests, 2 failed and repeated, 1 cancelled in 0.0 s"
