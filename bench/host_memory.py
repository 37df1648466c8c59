"""The memory of a host with many traces: the most at its start, and what it keeps.

Beside it runs one without traces.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench.child import Child, child, poll, python, wait_ready
from bench.figure import Figure, Peer
from engine.process.private_files import private_folder
from proxy.traces.files import TRACES_FOLDER
from proxy.traces.metrics.cache_metrics import DAYS_NAME, METRICS_FOLDER

TARGET_MB = 120.0
_LINKS = 30_000  # that one file may have
_CONTENT = b"{}" + b" " * 2_000
_STEADY_S, _SETTLES_S = 3.0, 180.0


@dataclass(frozen=True)
class Memory:
    """Resident memory of one host, in MB: the most that it had by now, and what it has."""

    peak: float
    now: float


def figures(home: Path, paths: Iterable[str], folder: Path) -> Iterator[Figure]:
    """The host of `home`, whose index knows the traces at `paths`; it is started twice.

    The first start also writes the lines of the cache metrics, as after an import or an update.
    """
    count = _make_files(home / TRACES_FOLDER, paths)
    empty = _host(private_folder(folder / "empty"), 0, folder)
    first = _host(home, count, folder)
    second = _host(home, count, folder)
    for metric, ours, theirs in (
        ("at its first start", first.peak, empty.peak),
        ("at its start", second.peak, empty.peak),
        ("settled", max(first.now, second.now), empty.now),
    ):
        yield Figure(
            bench="trace_analysis",
            metric=f"memory of a host with {count:,} traces, {metric}",
            unit="MB",
            value=ours,
            peer=Peer("without traces", theirs),
            ratio=ours / theirs,
            target=TARGET_MB,
            runs=1,
        )


def _make_files(folder: Path, paths: Iterable[str]) -> int:
    """A file at each path; they are names of a few files, since a start reads none that the index knows."""
    count = 0
    for number, path in enumerate(paths):
        content = folder / f".content-{number // _LINKS}"
        if number % _LINKS == 0:
            content.write_bytes(_CONTENT)
        file = folder / path
        if number == 0:
            private_folder(file.parent)
        os.link(content, file)
        count += 1
    return count


def _host(home: Path, traces: int, folder: Path) -> Memory:
    """Start a host, wait until it rests, look at a page of its list, and end it."""
    config = {
        "backend": "openai",
        "backend_name": "openai",
        "backend_url": "http://127.0.0.1:9/v1",
        "model": "none",
        "home": str(home),
        "port": 0,
    }
    with child("host", python("-m", "proxy"), settings=config, log=folder / "host.log") as host:
        wait_ready(host)
        poll(lambda: _is_up_to_date(host, home, traces), timeout_s=_SETTLES_S, what="all traces")
        process = psutil.Process(host.pid)
        httpx.get(f"{host.url}/anyclaude/traces", trust_env=False).raise_for_status()
        httpx.get(f"{host.url}/anyclaude/history", trust_env=False).raise_for_status()
        return _at_rest(process)


def _is_up_to_date(host: Child, home: Path, traces: int) -> bool:
    disk = httpx.get(f"{host.url}/anyclaude/state", trust_env=False).json()["disk"]
    days = home / METRICS_FOLDER / DAYS_NAME  # written last
    return disk is not None and disk["traces"] == traces and (days.exists() or not traces)


def _at_rest(process: psutil.Process) -> Memory:
    """Its memory, once it has used next to no processor time for a while."""
    before = -1.0
    while (used := sum(process.cpu_times()[:2])) - before > 0.05:
        before = used
        time.sleep(_STEADY_S)
    now = process.memory_info().rss
    return Memory(max(_peak(process), now) / 1e6, now / 1e6)


def _peak(process: psutil.Process) -> int:
    """The most that it had, where the system tells (Linux), in bytes."""
    status = Path(f"/proc/{process.pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else 0
