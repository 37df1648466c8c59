"""The service managers: what `service` asks of launchd and of systemd, by their own programs."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.service.launchd import LABEL, agent_content, agent_path
from tui.commands.service.plan import ServicePlan
from tui.commands.service.systemd import UNIT, unit_path, unit_text

_PAUSE_S = 0.1
_PROGRAM_S = 90.0  # a stop waits for the host's end


class ManagerFailed(Exception):
    """A manager's program is missing or refused; the text is for people. Raised by `ServiceManager`."""


class ServiceManager(Protocol):
    """What there is of a manager, as seen by `service`."""

    name: str
    file: Path

    @property
    def by_hand(self) -> Sequence[str]:
        """What a user types where the program cannot be run."""

    def content(self, plan: ServicePlan) -> bytes:
        """The file for this plan."""

    def start(self) -> None:
        """Start what the file says, now and with each session; one that runs is replaced."""

    def stop(self) -> None:
        """Stop it, and start it with no session any more."""

    def forget(self) -> None:
        """After the file is gone."""

    def state(self) -> str:
        """`running`, or in other words why not."""


def manager_here(environ: Mapping[str, str], user_home: Path, *, system: str | None = None) -> ServiceManager:
    """The manager of this machine.

    Raises:
        CommandFailed: there is none that is known.
    """
    system = system or platform.system()
    if system == "Darwin":
        return Launchd(environ, agent_path(user_home))
    if system == "Linux":
        return Systemd(environ, unit_path(environ, user_home))
    raise CommandFailed(ExitCode.USAGE, f"services are for macOS and Linux; this is {system}")


@dataclass
class Systemd:
    """A user's systemd."""

    environ: Mapping[str, str]
    file: Path
    name: str = "systemd"

    @property
    def by_hand(self) -> Sequence[str]:
        return ("systemctl --user daemon-reload", f"systemctl --user enable --now {UNIT}")

    def content(self, plan: ServicePlan) -> bytes:
        return unit_text(plan).encode()

    def start(self) -> None:
        self._ask("daemon-reload")
        self._ask("enable", UNIT)
        self._ask("restart", UNIT)

    def stop(self) -> None:
        self._ask("disable", "--now", UNIT)

    def forget(self) -> None:
        self._ask("daemon-reload")

    def state(self) -> str:
        done = _run(self.environ, "systemctl", "--user", "is-active", UNIT)
        said = done.stdout.strip().splitlines()
        if not said:
            raise ManagerFailed(_reason("systemctl", done))
        return "running" if said[0] == "active" else said[0]

    def _ask(self, *arguments: str) -> None:
        done = _run(self.environ, "systemctl", "--user", *arguments)
        if done.returncode != 0:
            raise ManagerFailed(_reason(f"systemctl --user {arguments[0]}", done))


@dataclass
class Launchd:
    """A user's launchd, in the domain of the login session."""

    environ: Mapping[str, str]
    file: Path
    name: str = "launchd"
    user: int = os.getuid()

    @property
    def by_hand(self) -> Sequence[str]:
        return (f"launchctl bootstrap gui/{self.user} {shlex.quote(str(self.file))}",)

    def content(self, plan: ServicePlan) -> bytes:
        return agent_content(plan)

    def start(self) -> None:
        if self._loaded() is not None:
            self.stop()
        done = _run(self.environ, "launchctl", "bootstrap", f"gui/{self.user}", str(self.file))
        if done.returncode != 0:
            raise ManagerFailed(_reason("launchctl bootstrap", done))

    def stop(self) -> None:
        if self._loaded() is None:
            return
        done = _run(self.environ, "launchctl", "bootout", f"gui/{self.user}/{LABEL}")
        ends_by = time.monotonic() + _PROGRAM_S
        while self._loaded() is not None:  # it may return while the host still ends
            if time.monotonic() > ends_by:
                raise ManagerFailed(_reason("launchctl bootout", done))
            time.sleep(_PAUSE_S)

    def forget(self) -> None:
        pass

    def state(self) -> str:
        loaded = self._loaded()
        if loaded is None:
            return "not loaded"
        found = re.search(r"^\s*state = (.+)$", loaded, re.MULTILINE)
        return found[1].strip() if found else "loaded"

    def _loaded(self) -> str | None:
        """What launchd says of the agent; None where it does not have it."""
        done = _run(self.environ, "launchctl", "print", f"gui/{self.user}/{LABEL}")
        return done.stdout if done.returncode == 0 else None


def _run(environ: Mapping[str, str], program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which(program, path=environ.get("PATH"))
    if found is None:
        raise ManagerFailed(f"{program} is not on the PATH")
    try:
        return subprocess.run(
            [found, *arguments],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROGRAM_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ManagerFailed(f"{program} cannot be run: {error}") from None


def _reason(what: str, done: subprocess.CompletedProcess[str]) -> str:
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return f"{what}: {said[0] if said else f'exit code {done.returncode}'}"
