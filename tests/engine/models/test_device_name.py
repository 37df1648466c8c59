"""MLX decides whether the device is Metal, not the system's name."""

from __future__ import annotations

import pytest

from engine.models.device_name import NO_METAL, named

METAL = {"device_name": "Apple M4 Max", "architecture": "applegpu_g16s", "memory_size": 64 << 30}
CPU = {"device_name": "AMD EPYC", "architecture": "x86_64"}


@pytest.mark.parametrize(
    ("system", "on_gpu", "info", "name"),
    [
        ("Darwin", True, METAL, "metal (Apple M4 Max)"),
        ("Darwin", True, {}, "metal"),
        ("Darwin", False, CPU, NO_METAL),
        ("Linux", False, CPU, "openblas (/usr/lib/libblas.so.3)"),
        ("Linux", True, {"device_name": "NVIDIA H200"}, "cuda (NVIDIA H200)"),
    ],
)
def test_a_device_is_named_as_mlx_knows_it(
    system: str, on_gpu: bool, info: dict[str, str | int], name: str
) -> None:
    device = named("openblas (/usr/lib/libblas.so.3)", system, on_gpu=on_gpu, info=info)
    assert device.name == name
    assert bool(device.fault) == (name == NO_METAL)


def test_a_mac_without_metal_has_a_fault_that_says_what_to_do() -> None:
    fault = named("", "Darwin", on_gpu=False, info=CPU).fault
    assert "no Metal device" in fault
    assert "fifty times slower" in fault
    assert "outside of any sandbox" in fault
