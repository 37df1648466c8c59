"""The device that computes in this process, according to MLX rather than the system's name.

On a Mac without a Metal device (in a sandbox, or a session without graphics) MLX uses the CPU without notice.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass

import mlx.core as mx

NO_METAL = "cpu: no Metal device in this session"


@dataclass(frozen=True, slots=True)
class ComputingDevice:
    """`name` is for people, such as `metal (Apple M4 Max)`; `fault` says what is wrong, empty for nothing."""

    name: str
    fault: str = ""


def computing_device(cpu_name: str) -> ComputingDevice:
    """The default device of this process; `cpu_name` is the name for a CPU that is meant to compute."""
    device = mx.default_device()
    return named(cpu_name, platform.system(), on_gpu=device.type == mx.gpu, info=mx.device_info(device))


def named(cpu_name: str, system: str, *, on_gpu: bool, info: Mapping[str, str | int]) -> ComputingDevice:
    """The device for `info` (from `mx.device_info`) and `system` (from `platform.system`)."""
    if on_gpu:
        backend, model = "metal" if system == "Darwin" else "cuda", info.get("device_name")
        return ComputingDevice(f"{backend} ({model})" if model else backend)
    if system == "Darwin":
        return ComputingDevice(
            NO_METAL,
            "this session has no Metal device, so the CPU computes, some fifty times slower; start"
            " anyclaude-tui in a terminal of the Mac's own desktop, outside of any sandbox",
        )
    return ComputingDevice(cpu_name)
