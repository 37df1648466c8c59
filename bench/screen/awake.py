"""Processors that do not sleep between two short pieces of work.

A key takes some milliseconds, a tenth of a second after the one before. On a machine with nothing else to do
the processor sleeps in between, and what it needs to be fast again (its clock, what its caches held) counts
as time of the key: the same key of the same empty app took 4.2 ms on processors that were kept awake, 5.2 and
6.3 ms before and after.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# It gives way to anything else at once, and ends with its parent.
_SPIN = """
import os
if hasattr(os, "SCHED_IDLE"):
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
else:
    os.nice(19)
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""


@contextmanager
def awake_processors() -> Iterator[None]:
    """Keep all processors awake in the block."""
    spinning = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for one in spinning:
            one.kill()
            one.wait()
