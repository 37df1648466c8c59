"""Spare the garbage collector what a process has imported, all of which stays to its end."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_held() -> Iterator[None]:
    """A block in which a process imports what it keeps: the collector waits, and passes over it ever after.

    There is no garbage meanwhile, and to look for it takes an eighth of the time of an import of a web server
    or of MLX. Where the collector is off already, it is left to whoever did that.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
