"""The requests that have not ended, by phase: waiting, in prefill, or decoding in a batch."""

from __future__ import annotations

from engine.scheduling.batch import Batch, Slot
from engine.scheduling.prefill_queue import PrefillQueue
from engine.scheduling.requests.request import RequestState, ScheduledRequest


class ActiveRequests:
    """All requests that have not ended. Used on the model's thread; any thread may read the two counts."""

    def __init__(self, *, exact_only: bool) -> None:
        """`exact_only`: a prompt can be resumed only at stored positions (`needs_checkpoints`)."""
        self.queue = PrefillQueue(exact_only=exact_only)
        self.decoding: dict[Slot, ScheduledRequest] = {}
        self.batches: list[Batch] = []

    @property
    def running(self) -> int:
        """The number of requests in prefill or decoding."""
        return len(self.queue.started) + len(self.decoding)

    @property
    def queued(self) -> int:
        """The number of requests that wait for their prefill."""
        return len(self.queue.waiting)

    @property
    def all(self) -> list[ScheduledRequest]:
        """Every request that has not ended."""
        return [*self.decoding.values(), *self.queue.started, *self.queue.waiting]

    def __contains__(self, request: ScheduledRequest) -> bool:
        return request in self.queue or request.slot in self.decoding

    def wait(self, request: ScheduledRequest) -> None:
        """Put a request into the prefill queue."""
        request.state = RequestState.QUEUED
        self.queue.add(request)

    def members(self, batch: Batch) -> list[ScheduledRequest]:
        """The requests of a batch."""
        return [self.decoding[slot] for slot in batch.slots if slot in self.decoding]

    def drop(self, request: ScheduledRequest) -> None:
        """Remove a request from its phase and release its prefill, slot and read from disk."""
        if request in self.queue:
            self.queue.remove(request)
        if request.slot is not None:
            self.decoding.pop(request.slot, None)
        self.batches = [batch for batch in self.batches if batch.slots]
        if request.fetch is not None:
            request.fetch.cancel()
        request.prefill = request.slot = request.batch = request.fetch = None
