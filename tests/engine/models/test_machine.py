"""A machine is identified by the processor, the system's release and MLX's build."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, PathDistribution, version
from pathlib import Path
from typing import Any

import pytest

from engine.models.machine import machine, machine_description, wheel_flavour

M4 = {"architecture": "applegpu_g16s", "device_name": "Apple M4 Max", "memory_size": 1 << 36}


class Installed:
    """Packages with one WHEEL file each."""

    def __init__(self, folder: Path, **tags: list[str]) -> None:
        self._folder = folder
        for name, each in tags.items():
            info = folder / f"{name}.dist-info"
            info.mkdir(parents=True)
            lines = ["Wheel-Version: 1.0", "Root-Is-Purelib: false", *(f"Tag: {tag}" for tag in each)]
            (info / "WHEEL").write_text("\n".join(lines) + "\n")

    def __call__(self, name: str) -> Distribution:
        info = self._folder / f"{name.replace('-', '_')}.dist-info"
        if not info.is_dir():
            raise PackageNotFoundError(name)
        return PathDistribution(info)


def on_a_mac(folder: Path, *, macos: str = "26.1", built: str = "26_0", **device: str) -> dict[str, str]:
    return machine(M4 | device, macos, Installed(folder, mlx_metal=[f"py3-none-macosx_{built}_arm64"]))


def test_a_mac_is_identified_by_gpu_release_and_wheel(tmp_path: Path) -> None:
    assert on_a_mac(tmp_path) == {
        "architecture": "applegpu_g16s",
        "processor": "Apple M4 Max",
        "system": "macOS 26",
        "wheel": "mlx-metal macosx_26_0_arm64",
    }


@pytest.mark.parametrize(
    "other", [{"architecture": "applegpu_g13d"}, {"macos": "15.7.1"}, {"built": "14_0"}], ids=str
)
def test_another_gpu_release_or_wheel_is_another_machine(tmp_path: Path, other: dict[str, Any]) -> None:
    assert on_a_mac(tmp_path / "this", **other) != on_a_mac(tmp_path / "that")


def test_two_processors_that_read_the_same_instructions_are_two_machines(tmp_path: Path) -> None:
    """A BLAS chooses its kernels by the processor, and one may be several times as fast as the other."""
    wheel = Installed(tmp_path, mlx_cpu=["py3-none-manylinux_2_35_x86_64"])
    first, second = (
        machine({"architecture": "x86_64", "device_name": name}, "", wheel) for name in ("Xeon", "EPYC")
    )
    assert first != second


def test_a_small_update_of_the_system_is_the_same_machine(tmp_path: Path) -> None:
    assert on_a_mac(tmp_path / "this", macos="26.0") == on_a_mac(tmp_path / "that", macos="26.1.2")


def test_the_platforms_of_a_wheel_are_sorted(tmp_path: Path) -> None:
    tags = ["py3-none-manylinux_2_35_x86_64", "py3-none-manylinux2014_x86_64"]
    some, same = Installed(tmp_path / "a", mlx_cpu=tags), Installed(tmp_path / "b", mlx_cpu=tags[::-1])
    assert wheel_flavour(some) == wheel_flavour(same) == "mlx-cpu manylinux2014_x86_64 manylinux_2_35_x86_64"


def test_unknown_values_are_empty(tmp_path: Path) -> None:
    (tmp_path / "mlx_metal.dist-info").mkdir()  # like packages of other installers
    assert wheel_flavour(Installed(tmp_path)) == "mlx-metal"
    assert wheel_flavour(Installed(tmp_path / "none")) == ""
    assert machine({}, "", Installed(tmp_path / "none"))["architecture"] == ""


def test_this_machine_has_a_wheel_and_a_name() -> None:
    assert all(machine().values())
    assert version("mlx") in machine_description()


def test_a_mac_has_a_name_for_people() -> None:
    named = machine_description(M4, "26.1")
    assert named == f"Apple M4 Max (applegpu_g16s), macOS 26, mlx {version('mlx')}"
