"""Where each request of the model's loop stands: in the prefill queue, being prefilled, or in a batch."""

from __future__ import annotations

from engine.scheduling.batch import Batch, Row
from engine.scheduling.prefill_queue import PrefillLine
from engine.scheduling.requests.request import LiveRequest, RequestState


class RequestPlaces:
    """All requests that have not ended. Used on the model's thread, but for the two counts."""

    def __init__(self, *, exact_only: bool) -> None:
        """`exact_only`: what is computed can be resumed only where it was kept (`checkpoints`)."""
        self.line = PrefillLine(exact_only=exact_only)
        self.decoding: dict[Row, LiveRequest] = {}
        self.batches: list[Batch] = []

    @property
    def running(self) -> int:
        """Requests that are being prefilled or decoded."""
        return len(self.line.started) + len(self.decoding)

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self.line.waiting)

    @property
    def all(self) -> list[LiveRequest]:
        """Every request that has not ended."""
        return [*self.decoding.values(), *self.line.started, *self.line.waiting]

    def __contains__(self, live: LiveRequest) -> bool:
        return live in self.line or live.row in self.decoding

    def wait(self, live: LiveRequest) -> None:
        """Let a request wait for its prefill."""
        live.state = RequestState.QUEUED
        self.line.add(live)

    def members(self, batch: Batch) -> list[LiveRequest]:
        """The requests that are decoded in a batch."""
        return [self.decoding[row] for row in batch.rows if row in self.decoding]

    def drop(self, live: LiveRequest) -> None:
        """Forget where a request stood."""
        if live in self.line:
            self.line.remove(live)
        if live.row is not None:
            self.decoding.pop(live.row, None)
        self.batches = [batch for batch in self.batches if batch.rows]
        live.prefill = live.row = live.batch = live.fetch = None
