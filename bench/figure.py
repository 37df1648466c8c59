"""One measured figure: a JSON line for machines, a row of a table for people."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, Literal


@dataclass(frozen=True)
class Peer:
    """The value measured for comparison in the same run, in the figure's unit."""

    name: str
    value: float


@dataclass(frozen=True)
class Figure:
    """`value` in `unit`, with a peer; `target` is a bound of the value, or of the ratio where `on` says so.

    The ratio is the median of the pairs' (ours / peer's), so that a temporary slowdown of the machine does
    not change it.
    """

    bench: str
    metric: str
    unit: str
    value: float
    peer: Peer
    ratio: float
    runs: int
    target: float | None = None
    bound: Literal["at most", "at least"] = "at most"
    on: Literal["value", "ratio"] = "value"

    @property
    def ok(self) -> bool:
        """Whether the target is met; true for a figure without one."""
        if self.target is None:
            return True
        measured = self.value if self.on == "value" else self.ratio
        return measured <= self.target if self.bound == "at most" else measured >= self.target

    @property
    def wanted(self) -> str:
        """The target in words."""
        return "" if self.target is None else f"{self.on} {self.bound} {self.target:g}"

    def line(self) -> str:
        """The figure as one line of JSON."""
        fields: dict[str, Any] = {
            "bench": self.bench,
            "metric": self.metric,
            "unit": self.unit,
            "value": round(self.value, 4),
            "peer": {"name": self.peer.name, "value": round(self.peer.value, 4)},
            "ratio": round(self.ratio, 4),
            "target": self.wanted or None,
            "ok": self.ok,
            "runs": self.runs,
            "machine": asdict(machine()),
        }
        return json.dumps(fields)


@dataclass(frozen=True)
class Machine:
    """The machine of a figure; `load` is the mean number of running processes in the last minute."""

    system: str
    processor: str
    cores: int
    python: str
    mlx: str
    mlx_lm: str
    blas: str
    load: float


@cache
def machine() -> Machine:
    """This machine."""
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        cores=os.cpu_count() or 0,
        python=platform.python_version(),
        mlx=version("mlx"),
        mlx_lm=version("mlx-lm"),
        blas=_blas(),
        load=round(os.getloadavg()[0], 2),
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = (line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
            return next(names, platform.processor())
    except OSError:
        return platform.processor()


def _blas() -> str:
    from engine.models.device_name import computing_device
    from engine.process.blas import find_openblas

    return computing_device("openblas" if find_openblas() else "reference BLAS").name


def table(figures: Iterable[Figure]) -> str:
    """The figures as aligned text."""
    head = ("bench", "metric", "value", "peer", "ratio", "target", "")
    rows = [head, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(figure: Figure) -> tuple[str, ...]:
    return (
        figure.bench,
        figure.metric,
        f"{figure.value:.4g} {figure.unit}",
        f"{figure.peer.value:.4g} {figure.unit} ({figure.peer.name})",
        f"{figure.ratio:.3f}",
        figure.wanted,
        "ok" if figure.ok else "MISSED",
    )
