"""What the model's loop reports: steps to whoever waits for a request, and counts of all that it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import mlx.core as mx

from engine.scheduling.active_requests import ActiveRequests
from engine.scheduling.requests.request import RequestState, ScheduledRequest
from engine.scheduling.requests.steps import FailStep, Step
from engine.scheduling.requests.stream import StepOutbox
from engine.wire.feed import PrefillProgress, Queued

_QUEUE_NEWS_S = 1.0


@dataclass(slots=True)
class LoopCounts:
    """What the loop has done since it started."""

    received: int = 0
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    prompt_tokens: int = 0
    restored_tokens: int = 0
    prefilled_tokens: int = 0
    generated_tokens: int = 0
    turns: int = 0
    rebuilds: int = 0
    device_faults: int = 0


class LoopReporting:
    """Passes on what happens to requests. Used on the model's thread; any thread may look at `counts`."""

    def __init__(self, active: ActiveRequests, clock: Callable[[], float]) -> None:
        self._active = active
        self._clock = clock
        self._outbox = StepOutbox(clock)
        self.counts = LoopCounts()

    def emit(self, live: ScheduledRequest, step: Step) -> None:
        """Add a step for one request; it is handed over by the next `flush`."""
        self._outbox.put(live.stream, step)

    def flush(self, *, more_soon: bool = False) -> None:
        """Hand all steps to their event loops; with `more_soon` tokens may wait for the next turn."""
        self._outbox.flush(more_soon=more_soon)

    def prefill_progress(self, live: ScheduledRequest, done: int) -> None:
        """Report how far a prompt is; nothing where an answer that had begun is prefilled again."""
        if not live.generated:
            self.emit(live, PrefillProgress(done, len(live.spec.prompt), live.restored))

    def queue(self) -> None:
        """Report to those that wait where they stand, about once a second."""
        line = self._active.queue
        if not line.waiting:
            return
        now = self._clock()
        for position, live in enumerate(line.ranking()):
            if live.prefill is None and now - live.queue_reported >= _QUEUE_NEWS_S:
                live.queue_reported = now
                self.emit(live, Queued(position, now - live.arrived))

    def fail(
        self, live: ScheduledRequest, kind: Literal["invalid_request", "overloaded", "internal"], message: str
    ) -> None:
        """End a request with a fault; it has been dropped."""
        self.emit(live, FailStep(kind, message))
        self.end(live, RequestState.FAILED)

    def end(self, live: ScheduledRequest, state: RequestState) -> None:
        """Count the end of a request; unused buffers go back to the system when nothing else runs."""
        live.state = state
        match state:
            case RequestState.FINISHED:
                self.counts.finished += 1
            case RequestState.CANCELLED:
                self.counts.cancelled += 1
            case _:
                self.counts.failed += 1
        if not self._active.running:
            mx.clear_cache()
