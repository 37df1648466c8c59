"""Batches the deltas of one answer: 20 events per second instead of one for each token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from proxy.events.types import EventData, RequestDelta
from proxy.traces.analysis.decode_speed import speed_after_first

PERIOD_S = 0.05

DeltaKind = Literal["text", "thinking", "tool"]


class DeltaBatcher:
    """Delays text by at most `PERIOD_S`; `flush` publishes it at once.

    Args:
        publish: receives each batched event.
        elapsed: seconds since the request arrived.
    """

    def __init__(self, publish: Callable[[str, EventData], None], elapsed: Callable[[], float]) -> None:
        self.started: float | None = None  # time of the first token, by `elapsed`
        self.resumed = 0  # output tokens that were not generated now
        self._publish = publish
        self._elapsed = elapsed
        self._kind: DeltaKind = "text"
        self._tool = ""  # whose arguments the texts are
        self._texts: list[str] = []
        self._output_tokens = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, kind: DeltaKind, text: str, output_tokens: int, tool: str = "") -> None:
        """Add one delta; a change of kind or of the tool publishes the batch before it."""
        if (kind, tool) != (self._kind, self._tool):
            self.flush()
            self._kind, self._tool = kind, tool
        self._texts.append(text)
        self._output_tokens = output_tokens
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD_S, self.flush)

    def flush(self) -> None:
        """Publish the batch, if it has text."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        text = "".join(self._texts)
        self._texts.clear()
        speed = self._speed()
        self._publish(
            "request.delta",
            RequestDelta(
                kind=self._kind,
                text=text,
                tool=self._tool,
                output_tokens=self._output_tokens,
                tokens_per_s=speed,
            ),
        )

    def _speed(self) -> float:
        if self.started is None:
            self.started = self._elapsed()
        return round(speed_after_first(self._output_tokens - self.resumed, self._elapsed() - self.started), 2)
