"""Reads a host's feed until something has happened: how an end-to-end test waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from engine.wire.sse import SseReader
from proxy.events.types import Event


class FeedReader:
    """Everything a host has told so far, resumed by `seq` at each wait.

    A wait that is not met ends with an AssertionError that lists what was seen instead.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.events: list[Event] = []

    @property
    def seq(self) -> int:
        return self.events[-1].seq if self.events else 0

    def of(self, *types: str, request: str | None = None) -> list[Event]:
        """The events of these types so far, of one request if it is named."""
        return [e for e in self.events if e.type in types and (request is None or e.request == request)]

    def until(self, met: Callable[[FeedReader], Any], *, timeout_s: float = 30.0, what: str = "") -> Any:
        """Read on until `met` returns something true, and return that."""
        deadline = time.monotonic() + timeout_s
        found = met(self)
        while not found and (left := deadline - time.monotonic()) > 0:
            try:
                found = self._read(met, deadline, left)
            except httpx.TimeoutException:
                continue
        assert found, f"{what or 'the event'} did not come in {timeout_s:.0f} s; seen: {self._seen()}"
        return found

    def _read(self, met: Callable[[FeedReader], Any], deadline: float, left: float) -> Any:
        with (
            httpx.Client(timeout=left, trust_env=False) as client,
            client.stream("GET", f"{self.url}/anyclaude/events", params={"since": self.seq}) as stream,
        ):
            stream.raise_for_status()
            reader = SseReader()
            for chunk in stream.iter_bytes():
                for data in reader.feed(chunk):
                    self.events.append(Event.model_validate_json(data))
                    if found := met(self):
                        return found
                if time.monotonic() > deadline:
                    break
        return None

    def until_type(self, type_: str, count: int = 1, *, timeout_s: float = 30.0) -> list[Event]:
        """Read on until `count` events of this type were seen."""
        return self.until(
            lambda feed: feed.of(type_) if len(feed.of(type_)) >= count else None,
            timeout_s=timeout_s,
            what=f"{type_} number {count}",
        )

    def _seen(self) -> str:
        return ", ".join(f"{e.seq} {e.type} {e.data.get('state', '')}".strip() for e in self.events[-40:])
