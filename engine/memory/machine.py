"""This machine's memory, from the system, the control group and the GPU's driver."""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx
import psutil

from engine.memory_budget.control_group import group_limit
from engine.memory_budget.limits import Machine


def this_machine() -> Machine:
    """The machine that this process runs on."""
    return machine_of(mx.device_info(), int(psutil.virtual_memory().total), group_limit())


def machine_of(device: Mapping[str, str | int], ram_bytes: int, group_bytes: int = 0) -> Machine:
    """A machine from a device (as `mx.device_info` returns it), its memory and its control group."""
    return Machine(
        ram_bytes=ram_bytes,
        working_set_bytes=int(device.get("max_recommended_working_set_size", 0)),
        group_bytes=group_bytes if group_bytes < ram_bytes else 0,
        buffers=int(device.get("resource_limit", 0)),
    )
