"""macOS ends work on the GPU that takes too long, and the switch with which its driver waits longer.

Prompts are computed in chunks that stay far from that (`engine.chunks.boundaries`). Where one is ended all
the same (`kIOGPUCommandBufferCallbackErrorTimeout`, `...ImpactingInteractivity`), some Macs are helped by the
switch, others are not; with it, windows may stutter while the model computes. So only who asks for it has it.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping

VARIABLE = "AGX_RELAX_CDM_CTXSTORE_TIMEOUT"
"""Read by the driver when the process first uses the GPU: to be set before mlx is imported."""


def relaxed_watchdog(environment: Mapping[str, str], system: str | None = None) -> tuple[dict[str, str], str]:
    """What to add to the environment of an engine that is to have the switch, and what to log of it.

    What the user has set stays. `system` is as `platform.system` names it.
    """
    if (system or platform.system()) != "Darwin":
        return {}, "relaxGpuWatchdog has no effect: only macOS has this watchdog"
    if VARIABLE in environment:
        return {}, f"relaxGpuWatchdog has no effect: {VARIABLE} is {environment[VARIABLE]!r} already"
    return {VARIABLE: "1"}, f"the GPU's watchdog is relaxed ({VARIABLE}=1), as asked"
