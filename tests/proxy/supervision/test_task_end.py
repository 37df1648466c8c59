from __future__ import annotations

import asyncio

import pytest

from proxy.supervision.task_end import end_tasks


async def swallow(times: int) -> None:
    """Goes on until it is cancelled for more than the given number of times."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            times -= 1
            if times < 0:
                raise


async def fail() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise ValueError("while it ended")


@pytest.mark.parametrize("work", [swallow(0), swallow(1), swallow(5), fail()])
async def test_a_task_ends_however_it_takes_a_cancel(work: object) -> None:
    task = asyncio.create_task(work)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await end_tasks(task, again_s=0.001)
    assert task.done()


async def test_tasks_that_are_done_cost_no_turn_of_the_loop() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    ending = end_tasks(task)
    with pytest.raises(StopIteration):
        ending.send(None)


async def test_a_task_that_ignores_all_cancels_is_left_running_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    task = asyncio.create_task(swallow(10))
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        await end_tasks(task, again_s=0.001)
    assert "could not be cancelled" in caplog.text
    assert "swallow" in caplog.text
    await end_tasks(task, again_s=0.001)
    assert task.cancelled()
