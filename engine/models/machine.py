"""The machine that computes, apart from MLX's version: processor, system release and MLX's build.

MLX ships its Metal kernels in one wheel for each release of macOS; others are compiled by the system at run
time. The choice depends on the GPU's family. So the results of two Macs can differ in their last bits, and so
can their speed.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from typing import Any

import mlx.core as mx

_BACKENDS = ("mlx-metal", "mlx-cuda-13", "mlx-cuda-12", "mlx-cpu")  # packages with the kernels of `mlx`


def machine(
    device: Mapping[str, Any] | None = None,
    macos: str | None = None,
    find: Callable[[str], Distribution] = distribution,
) -> dict[str, str]:
    """What this process computes on; a value is empty if unknown.

    `device` is from `mx.device_info`, `macos` is a release from `platform.mac_ver` (empty on other systems).
    """
    device = mx.device_info() if device is None else device
    macos = platform.mac_ver()[0] if macos is None else macos
    major = macos.partition(".")[0]
    return {
        "architecture": str(device.get("architecture", "")),
        "processor": str(device.get("device_name", "")),  # on a CPU, its kernels depend on it
        "system": f"macOS {major}" if major else platform.system(),
        "wheel": wheel_flavour(find),
    }


def machine_description(device: Mapping[str, Any] | None = None, macos: str | None = None) -> str:
    """This machine for people, such as "Apple M4 Max (applegpu_g16s), macOS 26, mlx 0.32.4"."""
    device = mx.device_info() if device is None else device
    facts = machine(device, macos)
    named = str(device.get("device_name", "")) or "an unnamed device"
    family = f" ({facts['architecture']})" if facts["architecture"] else ""
    return f"{named}{family}, {facts['system']}, mlx {version('mlx')}"


def wheel_flavour(find: Callable[[str], Distribution] = distribution) -> str:
    """The platforms of MLX's kernels, such as "mlx-metal macosx_26_0_arm64"; empty if unknown."""
    found = []
    for name in _BACKENDS:
        try:
            lines = (find(name).read_text("WHEEL") or "").splitlines()
        except PackageNotFoundError:
            continue
        tags = (line.partition(":")[2].strip() for line in lines if line.startswith("Tag:"))
        found.append(" ".join([name, *sorted({tag.rpartition("-")[2] for tag in tags})]))
    return ", ".join(found)
