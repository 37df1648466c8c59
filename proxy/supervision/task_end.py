"""Cancels endless tasks and waits for their end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

_log = logging.getLogger("anyclaude")

_AGAIN_S = 0.5  # until the cancel is repeated
_TIMES = 10


async def end_tasks(*tasks: asyncio.Task[Any], again_s: float = _AGAIN_S) -> None:
    """Cancel tasks and wait until they have ended; their results are ignored.

    One cancel is not enough: a library may swallow a cancel at the end of its own wait. A task that survives
    all cancels is left running, and the log reports it.
    """
    for _ in range(_TIMES):
        running = [task for task in tasks if not task.done()]
        if not running:
            break
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=again_s)
    for task in tasks:
        if not task.done():
            _log.error("a task could not be cancelled and is left running: %s", task.get_coro())
        elif not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not warn
