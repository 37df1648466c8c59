"""Totals since the host started, counted from its events: by the host, and on from there by a screen.

Free of pydantic, which the screen's first frame does not wait for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proxy.events.causes import CANCELLED_BY_YOU

if TYPE_CHECKING:
    from proxy.events.types import CacheChanged, EngineState, Usage

INVALID_VERDICTS = frozenset({"invalid", "unparsed", "unknown_tool"})


def usage_as_read(usage: Usage, reached: int | None) -> Usage:
    """The usage of a request without what it did not reach of its prompt; None: it has read all."""
    if reached is None or reached >= usage.prompt_tokens:
        return usage
    prefilled = max(0, reached - usage.cache_read_input_tokens)
    cached = min(usage.cache_creation_input_tokens, prefilled)
    return usage.model_copy(
        update={"cache_creation_input_tokens": cached, "input_tokens": prefilled - cached}
    )


@dataclass(slots=True)
class Totals:
    """What a screen that attaches late needs besides the recent events; on the wire, one object."""

    requests: int = 0
    finished: int = 0
    failed: int = 0
    repeated: int = 0  # requests that repeat one that failed
    cancelled: int = 0
    cancelled_by_you: int = 0  # of those, on the host; of the others the client left
    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0
    tool_calls: int = 0
    tool_calls_invalid: int = 0
    tool_calls_repaired: int = 0
    tool_results: int = 0
    tool_errors: int = 0
    cache_insertions: int = 0
    cache_evictions: int = 0
    cache_misses: int = 0
    cache_entries: int = 0
    cache_bytes: int = 0
    cache_budget_bytes: int = 0
    engine_restarts: int = 0

    @property
    def running(self) -> int:
        """Requests that have not ended."""
        return self.requests - self.finished - self.failed - self.cancelled

    @property
    def failed_for_good(self) -> int:
        """Requests that failed and that the client did not repeat."""
        return max(0, self.failed - self.repeated)

    @property
    def prompt_tokens(self) -> int:
        """All prompt tokens."""
        return self.input_tokens + self.cache_creation_input_tokens + self.cache_read_input_tokens

    def observe(self, type: str, request: str | None, data: Any) -> None:
        """Count one event with the payload `data`; a listener for the bus."""
        match type:
            case "request.received":
                self.requests += 1
                self.repeated += bool(data.retry_of)
            case "request.finished":
                self.finished += 1
                self._count_usage(data.usage)
            case "request.failed":
                self.cancelled += data.cancelled
                self.cancelled_by_you += data.cancelled and data.error.cause == CANCELLED_BY_YOU
                self.failed += not data.cancelled
                self._count_usage(usage_as_read(data.usage, getattr(data, "reached_tokens", None)))
            case "request.tool_call":
                self.tool_calls += 1
                self.tool_calls_invalid += data.verdict in INVALID_VERDICTS
                self.tool_calls_repaired += data.repaired
            case "request.tool_result":
                self.tool_results += 1
                self.tool_errors += data.is_error
            case "engine.restart":
                self.engine_restarts += 1
            case "engine.state":
                self._count_held(data)
            case _ if type.startswith("cache."):
                self._count_cache(type, data)

    def _count_held(self, engine: EngineState) -> None:
        if engine.is_gone:  # and what it held with it; the next one reports what it found on disk
            self.cache_entries = self.cache_bytes = 0
        elif engine.cache is not None:
            self.cache_entries = engine.cache.entries
            self.cache_bytes = engine.cache.bytes
            self.cache_budget_bytes = engine.cache.budget_bytes

    def _count_usage(self, usage: Usage) -> None:
        self.input_tokens += usage.input_tokens
        self.cache_creation_input_tokens += usage.cache_creation_input_tokens
        self.cache_read_input_tokens += usage.cache_read_input_tokens
        self.output_tokens += usage.output_tokens

    def _count_cache(self, type: str, change: CacheChanged) -> None:
        self.cache_insertions += type == "cache.inserted"
        self.cache_evictions += type == "cache.evicted"
        self.cache_misses += type == "cache.missed"
        if type != "cache.missed":  # which is about a prompt, not of what the cache holds
            self.cache_entries = change.entries
            self.cache_bytes = change.total_bytes
            self.cache_budget_bytes = change.budget_bytes
