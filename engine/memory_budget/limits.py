"""The memory limit of the engine on a machine, and how much of it may be wired; free of mlx.

A Mac's GPU recommends a working set of two thirds to three quarters of the memory. Above it the system pages.
Other programs need memory too. A CPU has no such figure; there the limit is the memory, or that of the
process's control group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GB, MB = 10**9, 10**6

Wired = Literal["weights", "off"]
"""What the system may never page out. Not all arrays: wiring transient ones is reported to panic macOS
(ml-explore/mlx#3186)."""

_RESERVE_SHARE, _LEAST_RESERVE, _MOST_RESERVE = 1 / 4, 4 * GB, 32 * GB  # of RAM, for everything else
_GROUP_RESERVE_SHARE = 1 / 8  # of a control group's memory, for the page cache of files that it reads
_WIRED_OF_RAM = 1 / 2  # larger weights are not wired, to leave enough for the rest
_WIRED_OF_WORKING_SET = 0.9
_BUFFER_CACHE_SHARE, _MOST_BUFFER_CACHE, _LEAST_BUFFER_CACHE = 1 / 8, 2 * GB, GB // 8
_BUFFER_SHARE = 0.6  # of the buffers that a process may have, for the prefix cache


@dataclass(frozen=True, slots=True)
class Machine:
    """Memory in bytes; 0 where there is no such limit.

    `working_set_bytes` is what the GPU's driver recommends at most, `group_bytes` the limit of the control
    group, `buffers` how many buffers the GPU's driver gives to a process.
    """

    ram_bytes: int
    working_set_bytes: int = 0
    group_bytes: int = 0
    buffers: int = 0


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """The engine's limit in bytes, and the reason for it."""

    bytes: int
    reason: str


def reserve_bytes(ram_bytes: int) -> int:
    """Bytes left to the system and other programs: a quarter, 4 to 32 GB, at most half."""
    share = int(ram_bytes * _RESERVE_SHARE)
    return min(max(share, _LEAST_RESERVE), _MOST_RESERVE, ram_bytes // 2)


def memory_limit(machine: Machine, asked: int | None = None) -> MemoryLimit:
    """The engine's limit: as the user set it, else the smallest of the machine's limits."""
    if asked is not None:
        return MemoryLimit(min(asked, machine.ram_bytes), "as set by memoryLimitBytes")
    reserve = reserve_bytes(machine.ram_bytes)
    limits = []
    if machine.working_set_bytes:
        limits.append(MemoryLimit(machine.working_set_bytes, "the working set that the GPU recommends"))
    limits.append(MemoryLimit(machine.ram_bytes - reserve, f"RAM less {in_gb(reserve)} for everything else"))
    if machine.group_bytes:
        reserve = int(machine.group_bytes * _GROUP_RESERVE_SHARE)
        text = f"the control group's memory less {in_gb(reserve)}"
        limits.append(MemoryLimit(machine.group_bytes - reserve, text))
    return min(limits, key=lambda limit: limit.bytes)


def wired_target(wired: Wired, weights_bytes: int, machine: Machine) -> int | None:
    """How many bytes to wire once the weights are loaded, at most the weights; None: do not set it."""
    if wired == "off" or not machine.working_set_bytes:
        return None
    if weights_bytes > machine.ram_bytes * _WIRED_OF_RAM:
        return None
    return min(weights_bytes, int(machine.working_set_bytes * _WIRED_OF_WORKING_SET))


def buffer_cache_limit(limit_bytes: int, weights_bytes: int) -> int:
    """The limit of MLX's buffer cache: an eighth of the limit less weights, at most 2 GB."""
    share = int(max(0, limit_bytes - weights_bytes) * _BUFFER_CACHE_SHARE)
    return min(max(share, _LEAST_BUFFER_CACHE), _MOST_BUFFER_CACHE)


def cache_buffers(machine: Machine) -> int | None:
    """How many buffers the prefix cache may hold; None: no limit."""
    return int(machine.buffers * _BUFFER_SHARE) if machine.buffers else None


def in_gb(nbytes: int) -> str:
    """Bytes as text, in GB, or in MB below 1 GB."""
    return f"{nbytes / GB:.1f} GB" if nbytes >= GB else f"{nbytes / MB:.0f} MB"
