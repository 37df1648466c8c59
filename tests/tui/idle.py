"""When an app under test has come to rest, told by its event loop.

Textual's tests sleep for 20 ms, twice a key, until the process has used hardly any processor time meanwhile:
half of the time of all tests of the screen was such sleep.
"""

from __future__ import annotations

import asyncio
from time import monotonic, process_time

LOOK_S = 0.004  # between two looks: long enough for a thread or a socket to hand something back
_BUSY_S = 0.0005  # of processor time within that: something is still at work


async def wait_until_idle(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
    """Until nothing is ready to run; in place of `textual._wait.wait_for_idle`.

    A process that the machine gives no time uses none either: so the loop's own list of what is ready has to
    be empty too.
    """
    loop = asyncio.get_running_loop()
    begun = monotonic()
    while True:
        used = process_time()
        await asyncio.sleep(LOOK_S)
        quiet = not loop._ready and process_time() - used < _BUSY_S  # type: ignore[attr-defined]
        passed = monotonic() - begun
        if passed >= max_sleep or (quiet and passed >= min_sleep):
            return
