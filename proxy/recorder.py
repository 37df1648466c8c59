"""What is known of each request while it runs: events for whoever watches, and one trace at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.events import CacheChange, CacheVerdict, ErrorInfo, RequestReceived, RequestToolCall, Usage


class RequestRecord:
    """One request that runs; ended by exactly one of `finished` and `failed`."""

    id: str  # "req_..."

    def upstream(self, body: dict[str, Any], model: str) -> None:
        """Keep what was sent upstream; the body must not be changed afterwards."""
        raise NotImplementedError

    def note(self, text: str) -> None:
        """Add a remark for people to the trace."""
        raise NotImplementedError

    def queued(self, position: int, waiting_s: float) -> None:
        raise NotImplementedError

    def prefill(self, done: int, total: int, cached: int) -> None:
        raise NotImplementedError

    def lookup(self, cache: CacheVerdict) -> None:
        raise NotImplementedError

    def first_byte(self) -> None:
        raise NotImplementedError

    def first_token(self, usage: Usage) -> None:
        raise NotImplementedError

    def delta(self, kind: str, text: str, output_tokens: int) -> None:
        raise NotImplementedError

    def tool_call(self, call: RequestToolCall) -> None:
        raise NotImplementedError

    def cache_changed(self, type: str, change: CacheChange) -> None:
        raise NotImplementedError

    async def finished(
        self, *, status: int, message: dict[str, Any], stop_reason: str, usage: Usage
    ) -> None:
        """End the request well; its trace is on disk when this returns."""
        raise NotImplementedError

    async def failed(
        self,
        *,
        status: int,
        error: ErrorInfo,
        message: dict[str, Any] | None,
        usage: Usage,
        cancelled: bool = False,
    ) -> None:
        """End the request with an error; `message` is the answer as far as it had come."""
        raise NotImplementedError


class Recorder:
    """Begins the record of each request."""

    def begin(
        self, *, received: RequestReceived, query: str, headers: Mapping[str, str], body: Any
    ) -> RequestRecord:
        """Record that a request arrived; the body must not be changed afterwards."""
        raise NotImplementedError
