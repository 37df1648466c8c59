"""What computes, beside MLX's version: the processor, the system's release and MLX's own build.

MLX ships its Metal kernels in one wheel for each release of macOS, others are compiled by the system while it
runs, and which are chosen depends on the family of the GPU. So what one Mac computes can differ in its last
bits from what another does, as can its speed.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from typing import Any

import mlx.core as mx

_BACKENDS = ("mlx-metal", "mlx-cuda-13", "mlx-cuda-12", "mlx-cpu")  # packages with the kernels, beside `mlx`


def machine(
    device: Mapping[str, Any] | None = None,
    macos: str | None = None,
    find: Callable[[str], Distribution] = distribution,
) -> dict[str, str]:
    """The circumstances under which this process computes; a value is "" where nothing is known.

    `device` is as `mx.device_info` tells it, `macos` a release as `platform.mac_ver` does ("" elsewhere).
    """
    device = mx.device_info() if device is None else device
    macos = platform.mac_ver()[0] if macos is None else macos
    major = macos.partition(".")[0]
    return {
        "architecture": str(device.get("architecture", "")),
        "processor": str(device.get("device_name", "")),  # where the CPU computes, its kernels go by it
        "system": f"macOS {major}" if major else platform.system(),
        "wheel": wheel_flavour(find),
    }


def machine_description(device: Mapping[str, Any] | None = None, macos: str | None = None) -> str:
    """This machine for people, as in "Apple M4 Max (applegpu_g16s), macOS 26, mlx 0.32.4"."""
    device = mx.device_info() if device is None else device
    told = machine(device, macos)
    named = str(device.get("device_name", "")) or "an unnamed device"
    family = f" ({told['architecture']})" if told["architecture"] else ""
    return f"{named}{family}, {told['system']}, mlx {version('mlx')}"


def wheel_flavour(find: Callable[[str], Distribution] = distribution) -> str:
    """The platforms that MLX's kernels were built for, as in "mlx-metal macosx_26_0_arm64"; "" if unknown."""
    found = []
    for name in _BACKENDS:
        try:
            lines = (find(name).read_text("WHEEL") or "").splitlines()
        except PackageNotFoundError:
            continue
        tags = (line.partition(":")[2].strip() for line in lines if line.startswith("Tag:"))
        found.append(" ".join([name, *sorted({tag.rpartition("-")[2] for tag in tags})]))
    return ", ".join(found)
