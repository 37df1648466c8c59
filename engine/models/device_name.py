"""What computes in this process, by what MLX says and not by the system's name.

On a Mac where it finds no Metal device (in a sandbox, or a session without graphics) MLX takes the CPU and
says nothing.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass

import mlx.core as mx

NO_METAL = "cpu: no Metal device in this session"


@dataclass(frozen=True, slots=True)
class ComputingDevice:
    """Its `name` for people, such as `metal (Apple M4 Max)`, and what is wrong with it, "" for nothing."""

    name: str
    fault: str = ""


def computing_device(cpu_name: str) -> ComputingDevice:
    """The default device of this process; `cpu_name` is what to call a CPU that is meant to compute."""
    device = mx.default_device()
    return named(cpu_name, platform.system(), on_gpu=device.type == mx.gpu, info=mx.device_info(device))


def named(cpu_name: str, system: str, *, on_gpu: bool, info: Mapping[str, str | int]) -> ComputingDevice:
    """The device that `info` describes as `mx.device_info` does, on a `system` as `platform` names it."""
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
