"""The events as Prometheus metrics, named `anyclaude_*`, in a registry of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, generate_latest

from proxy.events.totals import usage_as_read
from proxy.events.types import (
    CacheChanged,
    CacheMissed,
    EngineRestart,
    EngineState,
    EngineStatus,
    EventData,
    RequestFailed,
    RequestFinished,
    RequestReceived,
    RequestToolCall,
    RequestToolResult,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
_SPEEDS = (1, 2, 5, 10, 20, 30, 40, 60, 80, 120, 200, 400)
_TOOL_NAMES = 200  # names come from the client; more distinct ones than this are counted as one
_OTHER_TOOL = "other"


@dataclass(frozen=True, slots=True)
class Estimates:
    """What needs all requests of the run together, such as the speed of its prefills."""

    prefill_saved_s: float = 0.0
    cost: float = 0.0  # by the configuration's prices
    unpriced: int = 0  # requests whose model has no price


class Metrics:
    """Listens to a bus; rendered on request, from any thread."""

    def __init__(self, *, version: str, backend: str, estimates: Callable[[], Estimates] = Estimates) -> None:
        self._estimates = estimates
        self._counted = Estimates()  # as the counters have it
        self._rendering = threading.Lock()
        self._lanes: dict[str, str] = {}  # of the requests that run
        self._tools: set[str] = set()
        self._registry = CollectorRegistry()
        self._gauge("info", "This host.", "version", "backend").labels(version, backend).set(1)
        self._declare_requests()
        self._declare_tools_and_cache()
        self._declare_host()

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        with self._rendering:
            self._in_flight.set(len(self._lanes))
            now, before = self._estimates(), self._counted
            self._saved.set(now.prefill_saved_s)
            self._cost.inc(max(0.0, now.cost - before.cost))
            self._unpriced.inc(max(0, now.unpriced - before.unpriced))
            self._counted = now
            return generate_latest(self._registry)

    def lost(self, count: int) -> None:
        """Count events that a slow reader lost; the listener for the bus's losses."""
        self._events_lost.inc(count)

    def observe(self, type: str, request: str | None, data: EventData) -> None:
        """Count one event; the listener to give to the bus."""
        match data:
            case RequestReceived():
                self._lanes[request or ""] = data.lane
            case RequestFinished():
                self._ended(request, "finished", data)
            case RequestFailed():
                self._ended(request, "cancelled" if data.cancelled else "failed", data)
            case RequestToolCall():
                self._count_call(data)
            case RequestToolResult():
                self._tool_results.labels(self._tool(data.name), "error" if data.is_error else "ok").inc()
            case CacheMissed():
                self._cache_misses.labels(data.miss.reason).inc()
            case CacheChanged():
                self._cache_changes.labels(type.removeprefix("cache.")).inc()
                self._cache_entries.set(data.entries)
                self._cache_bytes.set(data.total_bytes)
                self._cache_budget.set(data.budget_bytes)
            case EngineState():
                self._engine.state(data.state)
                self._engine_memory.set(data.memory_bytes)
            case EngineRestart():
                self._engine_restarts.inc()

    def _ended(self, request: str | None, outcome: str, data: RequestFinished | RequestFailed) -> None:
        lane = self._lanes.pop(request or "", "main")
        self._requests.labels(lane, outcome, str(data.status)).inc()
        usage = usage_as_read(data.usage, getattr(data, "reached_tokens", None))
        timings = data.timings
        for kind, tokens in (
            ("input", usage.input_tokens),
            ("cache_creation", usage.cache_creation_input_tokens),
            ("cache_read", usage.cache_read_input_tokens),
            ("output", usage.output_tokens),
        ):
            self._tokens.labels(kind).inc(max(0, tokens))
        cache = "warm" if usage.cache_read_input_tokens > 0 else "cold"
        if usage.prompt_tokens > 0:
            self._prompts.labels(cache).inc()
        if timings.first_token is not None:
            self._ttft.labels(lane).observe(timings.first_token)
            if usage.prompt_tokens > 0:
                self._ttft_by_cache.labels(cache).observe(timings.first_token)
        if timings.done is not None:
            self._duration.labels(lane).observe(timings.done)
        if isinstance(data, RequestFinished) and data.tokens_per_s > 0:
            self._speed.labels(lane).observe(data.tokens_per_s)

    def _count_call(self, call: RequestToolCall) -> None:
        tool = self._tool(call.name)
        self._tool_calls.labels(tool, call.verdict).inc()
        if call.constrained is not None:
            self._tool_calls_by_grammar.labels(tool, "yes" if call.constrained else "no").inc()
        if call.repaired:
            self._tool_calls_repaired.labels(tool).inc()

    def _tool(self, name: str) -> str:
        if name not in self._tools and len(self._tools) >= _TOOL_NAMES:
            return _OTHER_TOOL
        self._tools.add(name)
        return name

    def _declare_requests(self) -> None:
        self._requests = self._counter("requests", "Requests that ended.", "lane", "outcome", "status")
        self._in_flight = self._gauge("requests_in_flight", "Requests that have not ended.")
        self._tokens = self._counter("tokens", "Tokens by kind, as reported to clients.", "kind")
        for kind in ("input", "cache_creation", "cache_read", "output"):
            self._tokens.labels(kind)
        self._prompts = self._counter("prompts", "Prompts by whether the cache had tokens of them.", "cache")
        self._ttft = self._histogram("time_to_first_token_seconds", "Request to first token.", _SECONDS)
        self._ttft_by_cache = self._histogram(
            "cache_time_to_first_token_seconds",
            "Request to first token, by whether the cache had tokens of the prompt.",
            _SECONDS,
            "cache",
        )
        for cache in ("warm", "cold"):
            self._prompts.labels(cache)
            self._ttft_by_cache.labels(cache)
        self._saved = self._gauge(
            "prefill_saved_seconds", "Prefill that the cache saved, by the speed of long prefills so far."
        )
        self._cost = self._counter("cost", "What the tokens would have cost by the configuration's prices.")
        self._unpriced = self._counter("unpriced_requests", "Requests whose model has no price.")
        self._duration = self._histogram("request_duration_seconds", "Request to its end.", _SECONDS)
        self._speed = self._histogram("output_tokens_per_second", "Decode speed of a request.", _SPEEDS)

    def _declare_tools_and_cache(self) -> None:
        self._tool_calls = self._counter("tool_calls", "Tool calls by schema verdict.", "tool", "verdict")
        self._tool_calls_repaired = self._counter("tool_calls_repaired", "Calls repaired to fit.", "tool")
        self._tool_calls_by_grammar = self._counter(
            "tool_calls_by_grammar", "Tool calls by whether they were constrained.", "tool", "constrained"
        )
        self._tool_results = self._counter("tool_results", "Results of tool calls.", "tool", "outcome")
        self._cache_changes = self._counter("cache_changes", "Changes of the prefix cache.", "change")
        self._cache_misses = self._counter("cache_misses", "Prompts that could have restored more.", "reason")
        self._cache_entries = self._gauge("cache_entries", "Entries of the prefix cache.")
        self._cache_bytes = self._gauge("cache_bytes", "Memory of the prefix cache.")
        self._cache_budget = self._gauge("cache_budget_bytes", "Memory that the prefix cache may take.")

    def _declare_host(self) -> None:
        self._engine = Enum(
            "anyclaude_engine_state",
            "State of the engine.",
            states=list(get_args(EngineStatus)),
            registry=self._registry,
        )
        self._engine_memory = self._gauge("engine_memory_bytes", "Memory of the engine process.")
        self._engine_restarts = self._counter("engine_restarts", "Restarts of the engine after a fault.")
        self._events_lost = self._counter("events_lost", "Events that slow readers of the feed lost.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"anyclaude_{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"anyclaude_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], label: str = "lane") -> Histogram:
        return Histogram(f"anyclaude_{name}", text, (label,), buckets=buckets, registry=self._registry)
