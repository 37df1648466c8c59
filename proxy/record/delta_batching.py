"""Gathers the deltas of one answer, so that screens are told 20 times a second and not at each token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from proxy.events.types import EventData, RequestDelta

PERIOD_S = 0.05

DeltaKind = Literal["text", "thinking", "tool"]


class DeltaBatcher:
    """Holds back text for at most `PERIOD_S`; `flush` gives it out at once.

    Args:
        publish: takes each gathered event.
        elapsed: seconds since the request arrived.
    """

    def __init__(self, publish: Callable[[str, EventData], None], elapsed: Callable[[], float]) -> None:
        self.started: float | None = None  # when the first token came, as `elapsed` told it
        self._publish = publish
        self._elapsed = elapsed
        self._kind: DeltaKind = "text"
        self._texts: list[str] = []
        self._output_tokens = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, kind: DeltaKind, text: str, output_tokens: int) -> None:
        """Take one delta; another kind of text gives out what was gathered before."""
        if kind != self._kind:
            self.flush()
            self._kind = kind
        self._texts.append(text)
        self._output_tokens = output_tokens
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD_S, self.flush)

    def flush(self) -> None:
        """Give out what was gathered, if anything was."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        text = "".join(self._texts)
        self._texts.clear()
        speed = self._speed()
        self._publish(
            "request.delta",
            RequestDelta(kind=self._kind, text=text, output_tokens=self._output_tokens, tokens_per_s=speed),
        )

    def _speed(self) -> float:
        if self.started is None:
            self.started = self._elapsed()
        seconds = self._elapsed() - self.started
        return (
            round((self._output_tokens - 1) / seconds, 2) if seconds > 0 and self._output_tokens > 1 else 0.0
        )
