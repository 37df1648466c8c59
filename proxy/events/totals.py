"""Totals since the host started, and what runs now: both made of the events alone."""

from __future__ import annotations

from proxy.events.types import (
    CacheChanged,
    CacheMissed,
    Counters,
    EngineRestart,
    EngineState,
    EventData,
    RequestFailed,
    RequestFinished,
    RequestReceived,
    RequestToolCall,
    RequestToolResult,
    Usage,
)


class Totals:
    """Listens to a bus; up to date after each event."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.running: set[str] = set()  # ids of the requests that have not ended

    @property
    def in_flight(self) -> int:
        """Requests that have begun and not ended."""
        return len(self.running)

    def observe(self, type: str, request: str | None, data: EventData) -> None:
        """Count one event; the listener to give to the bus."""
        counters = self.counters
        match data:
            case RequestReceived():
                counters.requests += 1
                self.running.add(request or "")
            case RequestFinished():
                counters.finished += 1
                self._end(request, data.usage)
            case RequestFailed():
                if data.cancelled:
                    counters.cancelled += 1
                else:
                    counters.failed += 1
                self._end(request, data.usage)
            case RequestToolCall():
                counters.tool_calls += 1
                counters.tool_calls_invalid += data.verdict not in ("valid", "unchecked", "cut")
                counters.tool_calls_repaired += data.repaired
            case RequestToolResult():
                counters.tool_results += 1
                counters.tool_errors += data.is_error
            case CacheMissed():
                counters.cache_misses += 1
            case CacheChanged():
                counters.cache_insertions += type == "cache.inserted"
                counters.cache_evictions += type == "cache.evicted"
                counters.cache_entries = data.entries
                counters.cache_bytes = data.total_bytes
                counters.cache_budget_bytes = data.budget_bytes
            case EngineRestart():
                counters.engine_restarts += 1
            case EngineState():
                self._hold(data)

    def _hold(self, engine: EngineState) -> None:
        """What a cache held ended with its engine; the next one tells what it found on disk."""
        counters = self.counters
        if engine.is_gone:
            counters.cache_entries = counters.cache_bytes = 0
        elif engine.cache is not None:
            counters.cache_entries = engine.cache.entries
            counters.cache_bytes = engine.cache.bytes
            counters.cache_budget_bytes = engine.cache.budget_bytes

    def _end(self, request: str | None, usage: Usage) -> None:
        self.running.discard(request or "")
        counters = self.counters
        counters.input_tokens += usage.input_tokens
        counters.cache_creation_input_tokens += usage.cache_creation_input_tokens
        counters.cache_read_input_tokens += usage.cache_read_input_tokens
        counters.output_tokens += usage.output_tokens
