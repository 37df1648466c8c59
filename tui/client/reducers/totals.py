"""Counters since the host started: the host's own account, carried on by the events that came after it.

`proxy.events.totals` counts the same for the host. It is not used here because its events need pydantic,
which the store does without so that the first frame does not wait for it; a test holds the two to the same
counts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

INVALID_VERDICTS = frozenset({"invalid", "unparsed", "unknown_tool"})


@dataclass(slots=True)
class Totals:
    """Counters under the names of `proxy.events.types.Counters`."""

    requests: int = 0
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
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
    def prompt_tokens(self) -> int:
        """All prompt tokens."""
        return self.input_tokens + self.cache_creation_input_tokens + self.cache_read_input_tokens

    @classmethod
    def of(cls, counters: object) -> Totals:
        """A copy of the host's counters; one that it does not have counts from zero."""
        return cls(**{item.name: int(getattr(counters, item.name, 0)) for item in fields(cls)})

    def count(self, kind: str, data: Any) -> None:
        """Count one event of type `kind` with the payload `data`."""
        match kind:
            case "request.received":
                self.requests += 1
            case "request.finished":
                self.finished += 1
                self._count_usage(data.usage)
            case "request.failed":
                self.cancelled += data.cancelled
                self.failed += not data.cancelled
                self._count_usage(data.usage)
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
                self._hold(data)
            case _ if kind.startswith("cache."):
                self._count_cache(kind, data)

    def _hold(self, engine: Any) -> None:
        if engine.is_gone:
            self.cache_entries = self.cache_bytes = 0
        elif engine.cache is not None:
            self.cache_entries = engine.cache.entries
            self.cache_bytes = engine.cache.bytes
            self.cache_budget_bytes = engine.cache.budget_bytes

    def _count_usage(self, usage: Any) -> None:
        self.input_tokens += usage.input_tokens
        self.cache_creation_input_tokens += usage.cache_creation_input_tokens
        self.cache_read_input_tokens += usage.cache_read_input_tokens
        self.output_tokens += usage.output_tokens

    def _count_cache(self, kind: str, data: Any) -> None:
        self.cache_insertions += kind == "cache.inserted"
        self.cache_evictions += kind == "cache.evicted"
        self.cache_misses += kind == "cache.missed"
        if kind != "cache.missed":  # which tells of a prompt, not of what the cache holds
            self.cache_entries = data.entries
            self.cache_bytes = data.total_bytes
            self.cache_budget_bytes = data.budget_bytes
