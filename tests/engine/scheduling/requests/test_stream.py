"""Steps cross from the model's thread to asyncio in order, with few wake-ups and no waiting for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from engine.scheduling.requests.steps import FailStep, FinishStep, Step, TokenStep
from engine.scheduling.requests.stream import StepOutbox, StepStream
from engine.wire.feed import PrefillProgress

END = FinishStep("stop", 1)


class CountingLoop:
    """Stands for an event loop: runs what it is given at once, and counts."""

    def __init__(self, closed: bool = False) -> None:
        self.wakes = 0
        self.closed = closed

    def call_soon_threadsafe(self, callback: Callable[..., None], *arguments: object) -> None:
        if self.closed:
            raise RuntimeError("Event loop is closed")
        self.wakes += 1
        callback(*arguments)


def stream_on(loop: CountingLoop) -> tuple[StepStream, list[str]]:
    cancels: list[str] = []
    return StepStream(loop, lambda: cancels.append("cancelled")), cancels  # type: ignore[arg-type]


async def test_steps_of_another_thread_arrive_in_order_and_end() -> None:
    stream = StepStream(asyncio.get_running_loop(), lambda: None)
    steps: list[Step] = [PrefillProgress(1, 2, 0), *(TokenStep(number) for number in range(500)), END]

    def produce() -> None:
        outbox = StepOutbox()
        for step in steps:
            outbox.put(stream, step)
            outbox.flush(more_soon=True)

    thread = threading.Thread(target=produce)
    thread.start()
    taken: list[Step] = []
    while more := await stream.take():
        taken += more
    assert taken == steps
    thread.join()


async def test_a_cancel_ends_a_take_that_waits() -> None:
    cancels: list[str] = []
    stream = StepStream(asyncio.get_running_loop(), lambda: cancels.append("cancelled"))
    reading = asyncio.create_task(stream.take())
    await asyncio.sleep(0)
    threading.Thread(target=stream.cancel).start()
    assert await reading == []
    stream.cancel()
    assert cancels == ["cancelled"]


async def test_what_arrived_together_is_taken_together_and_nothing_after_the_end() -> None:
    cancels: list[str] = []
    stream = StepStream(asyncio.get_running_loop(), lambda: cancels.append("cancelled"))
    stream.deliver(TokenStep(1))
    assert await stream.take() == [TokenStep(1)]
    for step in (TokenStep(2), FailStep("internal", "gone")):
        stream.deliver(step)
    assert await stream.take() == [TokenStep(2), FailStep("internal", "gone")]
    assert await stream.take() == []
    stream.cancel()
    assert not cancels


def test_one_wake_up_serves_all_requests_of_an_event_loop() -> None:
    loop, other, outbox = CountingLoop(), CountingLoop(), StepOutbox()
    for where in (loop, loop, loop, other):
        outbox.put(stream_on(where)[0], END)
    outbox.flush()
    outbox.flush()
    assert (loop.wakes, other.wakes) == (1, 1)


def test_tokens_are_gathered_for_a_moment_and_anything_else_goes_at_once() -> None:
    now = [0.0]
    loop, outbox = CountingLoop(), StepOutbox(lambda: now[0])
    stream, _ = stream_on(loop)

    def wakes_after(step: Step, at: float, more_soon: bool = True) -> int:
        now[0] = at
        outbox.put(stream, step)
        outbox.flush(more_soon=more_soon)
        return loop.wakes

    assert wakes_after(TokenStep(1), 0.001) == 0
    assert wakes_after(TokenStep(2), 0.009) == 1
    assert wakes_after(TokenStep(3), 0.010) == 1
    assert wakes_after(PrefillProgress(1, 2, 0), 0.011) == 2
    assert wakes_after(TokenStep(4), 0.012, more_soon=False) == 3
    assert [wakes_after(TokenStep(number), 0.013) for number in range(8)] == [3] * 7 + [4]


def test_the_requests_of_a_closed_event_loop_are_cancelled() -> None:
    outbox = StepOutbox()
    stream, cancels = stream_on(CountingLoop(closed=True))
    outbox.put(stream, TokenStep(1))
    outbox.flush()
    outbox.put(stream, TokenStep(2))
    outbox.flush()
    assert stream.cancelled
    assert cancels == ["cancelled"]
