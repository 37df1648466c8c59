"""What the checks of one run share: the edge to this machine, and what earlier checks found out."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from engine.wire.model_report import ModelReport
from proxy.configuration.settled import HostConfig
from proxy.configuration.settling import Settled
from proxy.events.types import HostState
from tui.commands.invocation import Invocation
from tui.commands.managed_settings import managed_settings_files

RunProgram = Callable[[Sequence[str], Mapping[str, str]], "subprocess.CompletedProcess[str]"]
"""Runs a program with this environment to its end.

Raises:
    OSError, subprocess.TimeoutExpired: it cannot be run, or does not end.
"""

_PROGRAM_S = 120.0  # to import MLX and build a large model from a cold disk


def run_program(command: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Not in the working directory: a module of the user's project must not be imported."""
    return subprocess.run(
        command,
        env=dict(environ),
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_PROGRAM_S,
        check=False,
    )


def own_processes() -> list[tuple[int, list[str]]]:
    """Process ids and command lines of this user's processes."""
    user = os.geteuid()
    found = []
    for process in psutil.process_iter():
        try:
            if process.uids().effective == user:
                found.append((process.pid, process.cmdline()))
        except (psutil.Error, OSError):
            continue  # it has ended, or is a zombie
    return found


@dataclass(frozen=True)
class Edge:
    """What of this machine the checks look at."""

    cwd: Path
    user_home: Path
    managed: Sequence[Path] = field(default_factory=managed_settings_files)
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    processes: Callable[[], Iterable[tuple[int, Sequence[str]]]] = own_processes
    run: RunProgram = run_program
    clock: Callable[[], float] = time.time


@dataclass
class Examination:
    """One run. A check sets what later ones need; they name it in `Check.needs`."""

    invocation: Invocation
    edge: Edge
    settled: Settled | None = None
    model_faults: tuple[str, ...] = ()  # why the configured model cannot be used
    url: str = ""
    state: HostState | None = None
    listener: int | None = None  # the process on the host's port, where the host itself does not say
    model_folder: Path | None = None
    report: ModelReport = field(default_factory=ModelReport)
    claude: str = ""  # the program

    @property
    def environ(self) -> Mapping[str, str]:
        return self.invocation.environ

    @property
    def config(self) -> HostConfig:
        """The settled configuration; only for checks that need `configuration`."""
        assert self.settled is not None
        return self.settled.config

    @property
    def host(self) -> HostState:
        """The running host; only for checks that need `host.port`."""
        assert self.state is not None
        return self.state
