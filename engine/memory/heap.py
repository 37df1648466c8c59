"""Return free pages of the C library's heap to the system, where it has a function for that."""

from __future__ import annotations

import ctypes
import sys


def trim_heap() -> None:
    """Return free heap pages; glibc retains them, and a control group counts them as used."""
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(ctypes.c_size_t(0))
