"""Gives what the C library's heap holds on to back to the system, where that can be asked for."""

from __future__ import annotations

import ctypes
import sys


def trim_heap() -> None:
    """Return free pages of the heap; glibc keeps them else, which a control group counts as used."""
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(ctypes.c_size_t(0))
