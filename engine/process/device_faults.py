"""Which exceptions come from the device that computes, not from a request: what MLX raises for a GPU.

MLX says on Metal what the system reports of a command buffer, as
`[METAL] Command buffer execution failed: <description> (<number>:<name of the error>).`, and names itself
where memory cannot be had (`[malloc]`, `[metal::malloc]`). An evaluation fails later than it is submitted: it
may return with numbers that were never computed, and a later use of the stream raises. Only
`mx.synchronize` waits for all that was submitted and is sure to raise.
"""

from __future__ import annotations

import errno
from typing import Literal

DeviceFault = Literal["refused", "victim", "memory", "timeout", "other"]
""""refused": all further work of this process. "victim": the work of another process failed, and all that was
under way on the GPU was discarded. "timeout": a piece of work took longer than the system allows."""

_FROM_DEVICE = ("[METAL]", "[metal::", "[malloc")
_MEMORY = ("insufficient memory", "outofmemory", "[malloc", "[metal::malloc]")
_REFUSED = ("submissionsignored", "prior/excessive gpu errors")
_VICTIM = ("innocentvictim", "victim of gpu error")
_TIMEOUT = ("timeout", "gpu hang", "gpu hung", "impactinginteractivity", "preempted")

_IN_WORDS: dict[DeviceFault, str] = {
    "refused": "the GPU refused further work",
    "victim": "the GPU was reset after a fault of other work, and what it computed for this request was lost",
    "memory": "the GPU had no memory left",
    "timeout": "the GPU watchdog of macOS ended what was computed for this request, since it took too long"
    " (relaxGpuWatchdog may help)",
    "other": "the GPU failed",
}


class DeviceRefuses(Exception):
    """The device does no more work for this process; only a new one can help. The message is for people."""


def device_fault(error: BaseException) -> DeviceFault | None:
    """What kind of fault of the device an exception is; None for all others."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "memory"
    said = str(error)
    if not isinstance(error, RuntimeError) or not any(mark in said for mark in _FROM_DEVICE):
        return None
    said = said.lower()
    marks: tuple[tuple[DeviceFault, tuple[str, ...]], ...] = (
        ("refused", _REFUSED),
        ("victim", _VICTIM),
        ("memory", _MEMORY),
        ("timeout", _TIMEOUT),
    )
    return next((kind for kind, texts in marks if any(text in said for text in texts)), "other")


def in_words(kind: DeviceFault, error: BaseException) -> str:
    """A fault of the device for people, with what the system said of it."""
    return f"{_IN_WORDS[kind]} ({first_line(error) or type(error).__name__})"


def first_line(error: BaseException) -> str:
    """What an exception says, without what follows in lines of its own."""
    return next(iter(str(error).strip().splitlines()), "")
