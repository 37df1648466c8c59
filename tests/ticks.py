"""Cancels a task in the very tick of the event loop in which what it waits for happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

TICKS = range(6)
"""How many turns of the loop may lie between what is awaited and the end of whoever awaits it."""

_SETTLED = 20  # turns after which a task without outside work waits where it is going to wait


async def cancelled_beside(
    work: Coroutine[Any, Any, Any], happens: Callable[[], object], ticks: int
) -> asyncio.Task[Any]:
    """Let `work` wait, let it `happen`, and cancel `ticks` turns of the loop later; the task a moment later.

    A task that has ended by itself before its cancel is returned as it is.
    """
    task = asyncio.get_running_loop().create_task(work)
    for _ in range(_SETTLED):
        await asyncio.sleep(0)
    assert not task.done(), "it does not wait"
    happens()
    for _ in range(ticks):
        await asyncio.sleep(0)
    if not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=5)
        assert task.done(), "the cancel was lost: the task goes on"
        assert task.cancelled(), "the cancel was lost: the task ended as if nobody had wanted it to"
    return task
