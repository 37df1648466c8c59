"""The end of tasks that go on until they are cancelled."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

_log = logging.getLogger("anyclaude")

_AGAIN_S = 0.5  # after which a cancel counts as lost
_TIMES = 10


async def end_tasks(*tasks: asyncio.Task[Any], again_s: float = _AGAIN_S) -> None:
    """Cancel tasks and return when they have ended; what they ended with is passed over.

    One cancel is not enough: a library may swallow the one that comes as its own wait is over, and the task
    then goes on for ever. A task that takes no cancel at all is left behind, and the log says so.
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
            _log.error("a task could not be ended and is left behind: %s", task.get_coro())
        elif not task.cancelled():
            task.exception()  # seen, so that nobody is told that it was not
