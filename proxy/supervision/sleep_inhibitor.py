"""Keeps the machine from falling asleep while requests run, by a program that the system has for that.

macOS: `caffeinate -i -w PID` prevents idle sleep until the process PID ends (caffeinate(8)). Linux:
`systemd-inhibit` holds a lock of logind as long as its command runs (systemd-inhibit(1)); the command reads a
pipe that closes when the host ends. So both also end after SIGKILL of the host.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.supervision.task_end import end_tasks

_log = logging.getLogger("anyclaude.sleep")

GRACE_S = 30.0  # between two requests of one task the client's tools run
SYSTEMD_RUNS = Path("/run/systemd/system")  # sd_booted(3)
_START_S = 10.0
_END_S = 2.0
_HELD = b"held\n"
_IDLE, _UNWANTED = "no request runs", "not prevented: keepAwake is false"
_WHY = "requests to the model are running"


@dataclass(frozen=True, slots=True)
class HoldCommand:
    """A command that keeps the machine awake while it runs; `says_held`: it prints a line once it does."""

    arguments: Sequence[str]
    says_held: bool = False

    @property
    def program(self) -> str:
        return Path(self.arguments[0]).name


def hold_commands(
    pid: int,
    *,
    system: str | None = None,
    find: Callable[[str], str | None] = shutil.which,
    systemd_runs: Path = SYSTEMD_RUNS,
) -> tuple[list[HoldCommand], str]:
    """The commands to try in order, for a host with this process id, and, where there are none, why.

    `system` is as `platform.system` names it.
    """
    if (system or platform.system()) == "Darwin":
        caffeinate = find("caffeinate")
        if caffeinate is None:
            return [], "caffeinate is not on the PATH"
        return [HoldCommand((caffeinate, "-i", "-w", str(pid)))], ""
    if not systemd_runs.is_dir():
        return [], "no systemd runs here"
    inhibit = find("systemd-inhibit")
    if inhibit is None:
        return [], "systemd-inhibit is not on the PATH"
    who = ("--who=anyclaude-tui", f"--why={_WHY}", "--mode=block")
    waits = ("sh", "-c", "echo held; exec cat")
    # "sleep" needs a permission that a session over ssh may lack; "idle" alone is then what can be had.
    return [
        HoldCommand((inhibit, f"--what={what}", *who, *waits), says_held=True)
        for what in ("idle:sleep", "idle")
    ], ""


class SleepInhibitor:
    """Holds sleep off from the first running request until `grace_s` after the last.

    Begun by `start` within the event loop and ended by `close`. `observe` is a listener for the bus. Where it
    is not possible there is one line in the log, and no further attempt.
    """

    def __init__(
        self,
        *,
        wanted: bool = True,
        commands: Callable[[], tuple[list[HoldCommand], str]] = lambda: hold_commands(os.getpid()),
        grace_s: float = GRACE_S,
    ) -> None:
        self.status = _IDLE if wanted else _UNWANTED
        """What people are told: whether sleep is held off now, and why not."""
        self._wanted = wanted
        self._commands = commands
        self._grace_s = grace_s
        self._running = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(self._watch())

    def want(self, wanted: bool) -> None:
        """Begin to hold sleep off, or let the machine sleep from now on."""
        self._wanted = wanted
        if self.status in (_IDLE, _UNWANTED):
            self.status = _IDLE if wanted else _UNWANTED
        self._changed.set()

    async def close(self) -> None:
        """Let the machine sleep again."""
        if self._task is not None:
            await end_tasks(self._task)

    def observe(self, type: str, request: str | None, data: Any) -> None:
        """Count one event."""
        match type:
            case "request.received":
                self._running += 1
            case "request.finished" | "request.failed":
                self._running -= 1
            case _:
                return
        self._changed.set()

    async def _watch(self) -> None:
        while True:
            while self._running <= 0 or not self._wanted:
                await self._next_change()
            holder = await self._hold()
            if holder is None:
                return
            try:
                idle = await self._until_idle(holder)
            finally:
                await _ended(holder)
            if not idle:
                self._give_up("the program that held it off was ended")
                return
            self.status = _IDLE if self._wanted else _UNWANTED

    async def _next_change(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    async def _until_idle(self, holder: Process) -> bool:
        """True once no request has run for the grace; False if the program ends before."""
        ended = asyncio.create_task(holder.wait())
        try:
            while self._wanted:
                changed = asyncio.create_task(self._next_change())
                limit = None if self._running > 0 else self._grace_s
                done, _ = await asyncio.wait(
                    (ended, changed), timeout=limit, return_when=asyncio.FIRST_COMPLETED
                )
                await end_tasks(changed)
                if ended in done:
                    return False
                if not done:
                    break
            return True
        finally:
            await end_tasks(ended)

    async def _hold(self) -> Process | None:
        """The program that holds sleep off; None where none can, which `status` then explains."""
        commands, reason = self._commands()
        for command in commands:
            holder, reason = await _started(command)
            if holder is not None:
                self.status = f"held off by {command.program}"
                return holder
        self._give_up(reason)
        return None

    def _give_up(self, reason: str) -> None:
        self.status = f"not prevented: {reason}"
        _log.info("the machine may fall asleep while requests run: %s", reason)


async def _started(command: HoldCommand) -> tuple[Process | None, str]:
    """The program once it holds sleep off, or why it does not."""
    try:
        holder = await asyncio.create_subprocess_exec(
            *command.arguments,
            stdin=PIPE if command.says_held else DEVNULL,
            stdout=PIPE if command.says_held else DEVNULL,
            stderr=PIPE if command.says_held else DEVNULL,
            cwd="/",
            start_new_session=True,  # ctrl+c is for the host, and without a terminal no password is asked for
        )
    except OSError as error:
        return None, f"{command.program} cannot be run: {error.strerror or error}"
    if not command.says_held:
        return holder, ""
    assert holder.stdout is not None
    assert holder.stderr is not None
    try:
        async with asyncio.timeout(_START_S):
            if await holder.stdout.readline() == _HELD:
                return holder, ""
            said = (await holder.stderr.read(2_000)).decode("utf-8", "replace").strip()
    except TimeoutError:
        said = "it does not answer"
    except BaseException:
        await _ended(holder)
        raise
    await _ended(holder)
    return None, f"{command.program}: {(said.splitlines() or ['it ended'])[0]}"


async def _ended(holder: Process) -> None:
    """End the program: close its pipe, then SIGTERM, then SIGKILL."""
    if holder.stdin is not None:
        holder.stdin.close()
        await _ends_within(holder, _END_S)
    for send in (holder.terminate, holder.kill):
        if holder.returncode is None:
            try:
                send()
            except ProcessLookupError:
                pass
            await _ends_within(holder, _END_S)


async def _ends_within(holder: Process, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await holder.wait()
    except TimeoutError:
        pass
