"""Is memory short on this machine? macOS says so itself, Linux tells how long programs stood still for it."""

from __future__ import annotations

import ctypes
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import psutil

from engine.memory.machine import group_folders

Pressure = Literal["normal", "warning", "critical"]

_DARWIN_LEVELS: dict[int, Pressure] = {1: "normal", 2: "warning", 4: "critical"}
# Percent of the last ten seconds in which a program, or all of them, waited for memory.
_SOME_STOOD, _ALL_STOOD = 10.0, 10.0
# With more than this free nobody waits for the lack of it: files are read, or another group is at its limit.
_PLENTY, _SCARCE = 0.15, 0.08
_STALLS = re.compile(r"^(some|full) avg10=([\d.]+)", re.MULTILINE)
_READ_EVERY_S = 1.0


class PressureWatch:
    """The pressure now, read again about once a second."""

    def __init__(
        self, read: Callable[[], Pressure] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read or system_pressure()
        self._clock = clock
        self._next = -float("inf")
        self._level: Pressure = "normal"

    @property
    def level(self) -> Pressure:
        """The level; cheap to ask for in each turn of a loop."""
        now = self._clock()
        if now >= self._next:
            self._next = now + _READ_EVERY_S
            self._level = self._read()
        return self._level


def system_pressure(platform: str = sys.platform) -> Callable[[], Pressure]:
    """How to read the pressure here; where that is not known, there is none."""
    if platform == "darwin":
        return darwin_pressure
    files = [folder / "memory.pressure" for folder in group_folders()]
    return lambda: linux_pressure([*files, Path("/proc/pressure/memory")], free_share)


def darwin_pressure(read: Callable[[], int] | None = None) -> Pressure:
    """What macOS tells all programs: `kern.memorystatus_vm_pressure_level`, 1, 2 or 4."""
    try:
        return _DARWIN_LEVELS.get((read or _darwin_level)(), "normal")
    except (OSError, AttributeError):
        return "normal"


def linux_pressure(files: Sequence[Path], free: Callable[[], float]) -> Pressure:
    """By the first of these files that tells stalls (PSI), where little memory is free as well."""
    for file in files:
        try:
            text = file.read_text()
        except (OSError, ValueError):
            continue
        stood = {kind: float(share) for kind, share in _STALLS.findall(text)}
        return stalls_as_pressure(stood.get("some", 0.0), stood.get("full", 0.0), free)
    return "normal"


def stalls_as_pressure(some: float, full: float, free: Callable[[], float]) -> Pressure:
    """The level for stalls in percent; `free` is the share of memory that is free."""
    if some < _SOME_STOOD:
        return "normal"
    left = free()
    if full >= _ALL_STOOD and left < _SCARCE:
        return "critical"
    return "warning" if left < _PLENTY else "normal"


def free_share() -> float:
    """The share of memory that programs could still have."""
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
