"""Memory pressure: macOS reports a level, Linux the share of time that programs stall for memory (PSI)."""

from __future__ import annotations

import ctypes
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import psutil

from engine.memory_budget.control_group import group_folders

Pressure = Literal["normal", "warning", "critical"]

_DARWIN_LEVELS: dict[int, Pressure] = {1: "normal", 2: "warning", 4: "critical"}
# Percent of the last ten seconds in which some program, or all of them, stalled for memory.
_SOME_STALLED, _ALL_STALLED = 10.0, 10.0
# With more free than this, stalls have another cause: file reads, or a limit of another group.
_PLENTY, _SCARCE = 0.15, 0.08
_STALLS = re.compile(r"^(some|full) avg10=([\d.]+)", re.MULTILINE)
_READ_EVERY_S = 1.0


class PressureWatch:
    """The pressure now, read about once a second."""

    def __init__(
        self, read: Callable[[], Pressure] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read or system_pressure()
        self._clock = clock
        self._next = -float("inf")
        self._level: Pressure = "normal"

    @property
    def level(self) -> Pressure:
        """The level; cheap enough for each turn of a loop."""
        now = self._clock()
        if now >= self._next:
            self._next = now + _READ_EVERY_S
            self._level = self._read()
        return self._level


def system_pressure(platform: str = sys.platform) -> Callable[[], Pressure]:
    """The function that reads the pressure on this platform; elsewhere it is always normal."""
    if platform == "darwin":
        return darwin_pressure
    files = [folder / "memory.pressure" for folder in group_folders()]
    return lambda: linux_pressure([*files, Path("/proc/pressure/memory")], free_share)


def darwin_pressure(read: Callable[[], int] | None = None) -> Pressure:
    """The level of macOS: `kern.memorystatus_vm_pressure_level`, 1, 2 or 4."""
    try:
        return _DARWIN_LEVELS.get((read or _darwin_level)(), "normal")
    except (OSError, AttributeError):
        return "normal"


def linux_pressure(files: Sequence[Path], free: Callable[[], float]) -> Pressure:
    """The level by the first PSI file that can be read, if little memory is free as well."""
    for file in files:
        try:
            text = file.read_text()
        except (OSError, ValueError):
            continue
        stalled = {kind: float(share) for kind, share in _STALLS.findall(text)}
        return stalls_as_pressure(stalled.get("some", 0.0), stalled.get("full", 0.0), free)
    return "normal"


def stalls_as_pressure(some: float, full: float, free: Callable[[], float]) -> Pressure:
    """The level for stalls in percent; `free` returns the share of free memory."""
    if some < _SOME_STALLED:
        return "normal"
    left = free()
    if full >= _ALL_STALLED and left < _SCARCE:
        return "critical"
    return "warning" if left < _PLENTY else "normal"


def free_share() -> float:
    """The share of memory that is available to programs."""
    memory = psutil.virtual_memory()
    return float(memory.available) / float(memory.total)


def _darwin_level() -> int:
    library = ctypes.CDLL(None, use_errno=True)
    value = ctypes.c_int(0)
    size = ctypes.c_size_t(ctypes.sizeof(value))
    name = b"kern.memorystatus_vm_pressure_level"
    if library.sysctlbyname(name, ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0)):
        raise OSError(ctypes.get_errno(), "sysctlbyname")
    return value.value
