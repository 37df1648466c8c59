"""The asyncio side of a request: steps that the model's thread hands over, in order.

The model's thread gathers the steps of a whole turn of its loop and wakes each event loop once
(`StepOutbox.flush`), so that what a token costs does not grow with the requests of a batch. A small model
makes tokens faster than it pays to wake another thread; its tokens go over a few at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from engine.scheduling.requests.steps import FailStep, FinishStep, Step, TokenStep

_GATHER_S = 0.008  # a screen shows at most every second of these
_GATHER = 8


class StepStream:
    """A `Generation`: made by any thread, taken from on `loop` by one task, cancelled from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_cancel: Callable[[], None]) -> None:
        self.loop = loop
        self.cancelled = False  # nobody waits for the rest any more
        self.abandoned = False  # because the client left, who may repeat the request
        self._on_cancel = on_cancel
        self._steps: list[Step] = []
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False

    def cancel(self) -> None:
        """Stop the request, unless it has ended; a `take` in progress returns without another step."""
        if self.cancelled or self._ended:
            return
        self.cancelled = True
        self._on_cancel()
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            pass  # the event loop is closed, so nobody waits

    def abandon(self) -> None:
        """Cancel because the client left: a request with the same `resume_key` goes on from there."""
        self.abandoned = not self.cancelled
        self.cancel()

    def deliver(self, step: Step) -> None:
        """Add a step; on the event loop's thread."""
        self._steps.append(step)
        self._wake()

    @property
    def untaken_failure(self) -> FailStep | None:
        """The failure that ended it, if nobody has taken it yet."""
        last = self._steps[-1] if self._steps else None
        return last if isinstance(last, FailStep) else None

    async def take(self) -> list[Step]:
        """All steps since the last call, once there are any; empty after a cancel, or after the last one."""
        while not (self._steps or self._ended or self.cancelled):
            self._waiter = self.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        steps, self._steps = self._steps, []
        if self.cancelled or not steps:
            return []
        self._ended = isinstance(steps[-1], FinishStep | FailStep)
        return steps

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class StepOutbox:
    """What the model's thread has to say at the end of a turn of its loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._flushed = clock()
        self._urgent = False
        self._count = 0
        self._waiting: dict[asyncio.AbstractEventLoop, list[tuple[StepStream, Step]]] = {}

    def put(self, stream: StepStream, step: Step) -> None:
        """Add a step for one request."""
        if not stream.cancelled:
            self._waiting.setdefault(stream.loop, []).append((stream, step))
            self._count += 1
            self._urgent = self._urgent or not isinstance(step, TokenStep)

    def flush(self, *, more_soon: bool = False) -> None:
        """Hand over all steps: one wake-up for each event loop. Requests of a closed loop are cancelled.

        With `more_soon` tokens alone may wait for the next flush, `_GATHER` of them and `_GATHER_S` at most.
        """
        if not self._waiting:
            return
        now = self._clock()
        full = self._count >= _GATHER or now - self._flushed >= _GATHER_S
        if more_soon and not self._urgent and not full:
            return
        self._flushed, self._urgent, self._count = now, False, 0
        waiting, self._waiting = self._waiting, {}
        for loop, steps in waiting.items():
            try:
                loop.call_soon_threadsafe(_deliver, steps)
            except RuntimeError:
                for stream, _ in steps:
                    stream.cancel()


def _deliver(steps: list[tuple[StepStream, Step]]) -> None:
    for stream, step in steps:
        stream.deliver(step)
