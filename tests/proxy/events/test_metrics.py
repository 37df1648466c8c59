from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.events.bus import EventBus
from proxy.events.metrics import Estimates, Metrics
from proxy.events.totals import Totals
from proxy.events.types import (
    CacheChanged,
    CacheMiss,
    CacheMissed,
    EngineRestart,
    EngineState,
    ErrorInfo,
    RequestFailed,
    RequestFinished,
    RequestReceived,
    RequestToolCall,
    RequestToolResult,
    Timings,
    Usage,
)

USAGE = Usage(input_tokens=1, cache_creation_input_tokens=20, cache_read_input_tokens=300, output_tokens=4000)


class Host:
    """A bus with both counters on it."""

    def __init__(self, estimates: Callable[[], Estimates] = Estimates) -> None:
        self.bus = EventBus(keep_events=5)
        self.totals = Totals()
        self.metrics = Metrics(version="1.2.3", backend="mlx", estimates=estimates)
        self.bus.listen(self.totals.observe)
        self.bus.listen(self.metrics.observe)
        self.bus.listen_to_losses(self.metrics.lost)

    def value(self, name: str, **labels: str) -> float:
        text = self.metrics.render().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == f"anyclaude_{name}" and labels.items() <= sample.labels.items():
                    return sample.value
        raise AssertionError(f"no sample {name} {labels} in\n{text}")


@pytest.fixture
def host() -> Host:
    return Host()


def test_requests_are_counted_by_lane_and_outcome(host: Host) -> None:
    publish = host.bus.publish
    for number, lane in enumerate(("main", "subagent", "main", "main")):
        publish("request.received", RequestReceived(lane=lane), f"req_{number}")
    assert host.value("requests_in_flight") == 4
    done = Timings(first_token=0.3, done=7.0)
    publish("request.finished", RequestFinished(usage=USAGE, timings=done, tokens_per_s=25), "req_0")
    publish("request.finished", RequestFinished(usage=USAGE, timings=done), "req_1")
    fault = ErrorInfo(type="api_error", message="m")
    publish("request.failed", RequestFailed(status=529, error=fault, usage=Usage(output_tokens=5)), "req_2")
    assert host.value("requests_total", lane="subagent", outcome="finished", status="200") == 1
    assert host.value("requests_total", lane="main", outcome="failed", status="529") == 1
    assert host.value("requests_in_flight") == 1
    publish("request.failed", RequestFailed(status=499, error=fault, cancelled=True), "req_3")
    counters = host.totals
    assert (counters.requests, counters.finished, counters.failed, counters.cancelled) == (4, 2, 1, 1)
    assert (counters.input_tokens, counters.cache_read_input_tokens, counters.output_tokens) == (2, 600, 8005)
    assert host.value("tokens_total", kind="cache_creation") == 40
    assert host.value("time_to_first_token_seconds_bucket", lane="main", le="0.5") == 1
    assert host.value("request_duration_seconds_sum", lane="subagent") == 7.0
    assert host.value("output_tokens_per_second_count", lane="main") == 1


def test_prompts_are_warm_where_the_cache_had_tokens_and_nothing_where_none_were_counted(host: Host) -> None:
    done = Timings(first_token=0.3, done=7.0)
    usages = [USAGE, Usage(input_tokens=5), Usage(cache_creation_input_tokens=5), Usage(output_tokens=5)]
    for number, usage in enumerate(usages):
        finished = RequestFinished(usage=usage, timings=done)
        host.bus.publish("request.finished", finished, f"req_{number}")
    for cache, count in (("warm", 1), ("cold", 2)):
        assert host.value("prompts_total", cache=cache) == count
        assert host.value("cache_time_to_first_token_seconds_bucket", cache=cache, le="0.5") == count
    assert host.value("time_to_first_token_seconds_count", lane="main") == 4


def test_what_was_estimated_is_counted_as_it_grows() -> None:
    told = [Estimates(3.0, 1.5, 2)]
    host = Host(lambda: told[-1])
    assert host.value("prefill_saved_seconds") == 3.0
    told.append(Estimates(2.0, 1.75, 3))  # another speed of prefill was measured
    assert host.value("prefill_saved_seconds") == 2.0
    assert host.value("cost_total") == 1.75
    assert host.value("unpriced_requests_total") == 3


def test_tools_are_counted_by_name_verdict_and_outcome(host: Host) -> None:
    publish = host.bus.publish
    publish("request.tool_call", RequestToolCall(tool_use_id="1", name="Read", verdict="valid"))
    publish("request.tool_call", RequestToolCall(tool_use_id="2", name="Read", verdict="invalid"))
    publish("request.tool_result", RequestToolResult(tool_use_id="1", name="Read", is_error=True))
    counters = host.totals
    assert (counters.tool_calls, counters.tool_calls_invalid) == (2, 1)
    assert (counters.tool_results, counters.tool_errors) == (1, 1)
    assert host.value("tool_calls_total", tool="Read", verdict="invalid") == 1
    assert host.value("tool_results_total", tool="Read", outcome="error") == 1


def test_calls_are_counted_by_what_made_them_usable(host: Host) -> None:
    calls: list[dict[str, Any]] = [
        {"constrained": True, "verdict": "valid"},
        {"constrained": False, "verdict": "valid", "repairs": ["a brace was missing"]},
        {"verdict": "invalid", "repairs": ["in vain"]},
        {"verdict": "cut"},
    ]
    for fields in calls:
        call = RequestToolCall.model_validate({"tool_use_id": "1", "name": "Read", **fields})
        host.bus.publish("request.tool_call", call)
    assert host.value("tool_calls_repaired_total", tool="Read") == 1
    assert host.value("tool_calls_by_grammar_total", tool="Read", constrained="yes") == 1
    assert host.value("tool_calls_by_grammar_total", tool="Read", constrained="no") == 1
    assert host.value("tool_calls_total", tool="Read", verdict="cut") == 1
    counters = host.totals
    assert (counters.tool_calls, counters.tool_calls_repaired, counters.tool_calls_invalid) == (4, 1, 1)


def test_a_client_cannot_fill_the_memory_with_tool_names(host: Host) -> None:
    for number in range(500):
        host.bus.publish("request.tool_call", RequestToolCall(tool_use_id="1", name=f"tool{number}"))
    assert host.value("tool_calls_total", tool="other") == 300


def test_the_cache_is_shown_as_it_was_last(host: Host) -> None:
    publish = host.bus.publish
    totals = {"entries": 3, "total_bytes": 900, "budget_bytes": 1000}
    publish("cache.inserted", CacheChanged(tokens=5, **totals))
    publish("cache.evicted", CacheChanged(entries=2, total_bytes=600, budget_bytes=1000))
    publish("cache.missed", CacheMissed(miss=CacheMiss(reason="evicted"), entries=99))
    counters = host.totals
    assert (counters.cache_insertions, counters.cache_evictions, counters.cache_misses) == (1, 1, 1)
    assert (counters.cache_entries, counters.cache_bytes, counters.cache_budget_bytes) == (2, 600, 1000)
    assert host.value("cache_bytes") == 600
    assert host.value("cache_changes_total", change="evicted") == 1
    assert host.value("cache_misses_total", reason="evicted") == 1


def test_the_engine_is_shown(host: Host) -> None:
    host.bus.publish("engine.state", EngineState(state="ready", memory_bytes=7))
    host.bus.publish("engine.restart", EngineRestart(attempt=1, of=5, delay_s=1, reason="exit"))
    assert host.value("engine_state", anyclaude_engine_state="ready") == 1
    assert host.value("engine_state", anyclaude_engine_state="failed") == 0
    assert host.value("engine_memory_bytes") == 7
    assert host.value("engine_restarts_total") == host.totals.engine_restarts == 1


async def test_lost_events_are_counted(host: Host) -> None:
    reader = host.bus.follow()
    for _ in range(9):
        host.bus.publish("engine.state", EngineState(state="ready"))
    await reader.next()
    assert host.value("events_lost_total") == 4


def test_an_idle_host_shows_its_metrics_too(host: Host) -> None:
    assert host.value("info", version="1.2.3", backend="mlx") == 1
    assert host.value("tokens_total", kind="output") == 0
