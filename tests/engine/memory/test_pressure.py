"""Pressure is read from the system, at most once a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.memory.pressure import (
    Pressure,
    PressureWatch,
    darwin_pressure,
    free_share,
    linux_pressure,
    system_pressure,
)


@pytest.mark.parametrize(
    ("level", "pressure"), [(1, "normal"), (2, "warning"), (4, "critical"), (0, "normal"), (9, "normal")]
)
def test_macos_pressure_is_a_level(level: int, pressure: Pressure) -> None:
    assert darwin_pressure(lambda: level) == pressure


def test_a_mac_without_the_level_has_normal_pressure() -> None:
    def fails() -> int:
        raise OSError("no such name")

    assert darwin_pressure(fails) == "normal"


@pytest.mark.parametrize(
    ("some", "full", "free", "pressure"),
    [
        (0.0, 0.0, 0.01, "normal"),  # full of what can be had back
        (50.0, 50.0, 0.5, "normal"),  # they wait for files
        (12.0, 1.0, 0.1, "warning"),
        (12.0, 1.0, 0.01, "warning"),
        (60.0, 40.0, 0.01, "critical"),
        (60.0, 40.0, 0.1, "warning"),
    ],
)
def test_linux_pressure_is_the_share_of_stalled_time(
    tmp_path: Path, some: float, full: float, free: float, pressure: Pressure
) -> None:
    file = tmp_path / "memory.pressure"
    lines = (("some", some), ("full", full))
    file.write_text("".join(f"{kind} avg10={share:.2f} avg60=0.00 total=1\n" for kind, share in lines))
    assert linux_pressure([tmp_path / "missing", file], lambda: free) == pressure


def test_without_a_file_nothing_is_short(tmp_path: Path) -> None:
    assert linux_pressure([tmp_path / "missing"], lambda: 0.0) == "normal"


def test_it_is_read_once_a_second() -> None:
    reads: list[int] = []
    now = [0.0]

    def read() -> Pressure:
        reads.append(1)
        return "warning"

    watch = PressureWatch(read, lambda: now[0])
    for moment in (0.0, 0.2, 0.9, 1.0, 1.5):
        now[0] = moment
        assert watch.level == "warning"
    assert len(reads) == 2


def test_it_can_be_read_here() -> None:
    assert system_pressure()() in ("normal", "warning", "critical")
    assert 0 < free_share() <= 1
