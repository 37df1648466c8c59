"""The reports of the model's loop: steps of each request, and counts of all requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import mlx.core as mx

from engine.scheduling.active_requests import ActiveRequests
from engine.scheduling.requests.request import RequestState, ScheduledRequest
from engine.scheduling.requests.steps import FailStep, Step
from engine.scheduling.requests.stream import StepOutbox
from engine.wire.feed import PhaseTimes, PrefillProgress, Queued
from engine.wire.misses import MissReason

_QUEUE_NEWS_S = 1.0


@dataclass(slots=True)
class LoopCounts:
    """Counts since the start of the loop."""

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
    misses: dict[MissReason, int] = field(default_factory=lambda: dict.fromkeys(get_args(MissReason), 0))
    """The misses that were reported, by their reason."""


class LoopReporting:
    """Reports the steps of requests. Used on the model's thread; any thread may read `counts`."""

    def __init__(self, active: ActiveRequests, clock: Callable[[], float]) -> None:
        self._active = active
        self._clock = clock
        self._outbox = StepOutbox(clock)
        self.counts = LoopCounts()

    def emit(self, request: ScheduledRequest, step: Step) -> None:
        """Add a step for one request; it is handed over by the next `flush`."""
        self._outbox.put(request.stream, step)

    def flush(self, *, more_soon: bool = False) -> None:
        """Hand all steps to their event loops; with `more_soon` tokens may wait for the next turn."""
        self._outbox.flush(more_soon=more_soon)

    def prefill_progress(self, request: ScheduledRequest, done: int) -> None:
        """Report the progress of a prefill, unless it repeats one after the answer had begun."""
        if not request.generated:
            self.emit(request, PrefillProgress(done, len(request.spec.prompt), request.restored))

    def first_token(self, request: ScheduledRequest, now: float) -> None:
        """Report what the first prefill and the token behind it took, with that token."""
        began, ended = request.prefill_began, request.prefill_ended
        request.first_token_reported = True
        if began is not None and ended is not None:
            self.emit(request, PhaseTimes(prefill_s=ended - began, first_token_s=now - ended))

    def queue(self) -> None:
        """Report their position to the waiting requests, about once a second."""
        queue = self._active.queue
        if not queue.waiting:
            return
        now = self._clock()
        for position, request in enumerate(queue.ranking()):
            if request.prefill is None and now - request.queue_reported >= _QUEUE_NEWS_S:
                request.queue_reported = now
                self.emit(request, Queued(position, now - request.arrived))

    def fail(
        self,
        request: ScheduledRequest,
        kind: Literal["invalid_request", "overloaded", "internal"],
        message: str,
    ) -> None:
        """End a request with a fault; it has been dropped."""
        self.emit(request, FailStep(kind, message))
        self.end(request, RequestState.FAILED)

    def end(self, request: ScheduledRequest, state: RequestState) -> None:
        """Count the end of a request; unused buffers go back to the system when nothing else runs."""
        request.state = state
        match state:
            case RequestState.FINISHED:
                self.counts.finished += 1
            case RequestState.CANCELLED:
                self.counts.cancelled += 1
            case _:
                self.counts.failed += 1
        if not self._active.running:
            mx.clear_cache()
