"""The proxy as a child process: started, listened to, watched and stopped.

The child reads its settings as one JSON line on stdin and watches that pipe: it ends when this process does,
however this process ends (`engine.process.parent_watch`). Its stderr goes to a file: nothing may paint over a
screen.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from engine.process.exit_codes import ExitCode
from engine.process.private_files import open_private, private_folder
from proxy.configuration.settled import HostConfig
from proxy.supervision.task_end import end_tasks

START_S = 60.0  # to import everything on a cold disk and listen; loading a model comes after that
# More than a host takes that ends itself: killed before, it leaves an engine behind that does not answer.
STOP_S = 22.0
LOG_LIMIT = 8 << 20  # bytes after which a log is put aside when the next host starts
LAST_WORDS = 20  # lines
DRAIN_S = 1.0  # for its last lines on stdout, once it has ended


class HostFailed(Exception):
    """The host did not start; `exit_code` is the command's, `message` is for people.

    Raised by `HostProcess.start`.
    """

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.message = message


_NAMED = (ExitCode.USAGE, ExitCode.PORT_BUSY, ExitCode.ENGINE_FAILED)  # that a host may end with


class HostProcess:
    """One proxy process with its engine below it; `log_path` takes what it writes to stderr."""

    def __init__(
        self,
        config: HostConfig,
        *,
        log_path: Path,
        # -P: a folder named `proxy` where the user happens to be must not be taken for ours.
        command: Sequence[str] = (sys.executable, "-P", "-m", "proxy"),
        start_s: float = START_S,
    ) -> None:
        self.config = config
        self.log_path = log_path
        self.url = ""
        self.report: list[str] = []  # lines about its requests, once it has ended
        self._command = command
        self._start_s = start_s
        self._process: Process | None = None
        self._log_start = 0  # where this child's words begin in the log
        self._drain: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """The child's exit code, negative for a signal; None while it runs or before it was started."""
        return self._process.returncode if self._process else None

    @property
    def last_words(self) -> list[str]:
        """The last lines of its log, oldest first."""
        return last_words(self.log_path, self._log_start)

    async def start(self) -> str:
        """Start it and return its address when it listens.

        Raises:
            HostFailed: it could not be started, said that it cannot listen, or died; nothing is left running.
        """
        try:
            self._process = await self._spawn()
        except OSError as error:
            raise HostFailed(2, f"the host could not be started: {error}") from None
        try:
            async with asyncio.timeout(self._start_s):
                self.url = await self._announced(self._process)
        except TimeoutError:
            await self.stop(timeout=1.0)
            raise HostFailed(
                ExitCode.ENGINE_FAILED,
                f"the host did not listen within {self._start_s:.0f} s{self._log_hint()}",
            ) from None
        except BaseException:
            await self.stop(timeout=2.0)
            raise
        self._drain = asyncio.create_task(self._read_report(self._process))
        return self.url

    async def wait(self) -> int:
        """The exit code, as soon as the child has ended."""
        if self._process is None:
            raise RuntimeError("the host was not started")
        return await self._process.wait()

    async def stop(self, timeout: float = STOP_S) -> int | None:
        """End it: asked by a signal, then, `timeout` seconds later, without asking. Returns its exit code."""
        process = self._process
        if process is None:
            return None
        if process.returncode is None:
            _signal(process.terminate)
            if not await _ends_within(process, timeout):
                _signal(process.kill)
                await process.wait()
        if process.stdin is not None:
            process.stdin.close()
        if self._drain is not None:
            # It ends with the pipe, unless a child of the host still holds that.
            await asyncio.wait((self._drain,), timeout=DRAIN_S)
            await end_tasks(self._drain)
            self._drain = None
        return process.returncode

    async def _spawn(self) -> Process:
        with opened_log(self.log_path) as log:
            self._log_start = log.seek(0, os.SEEK_END)
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                limit=1 << 20,
                # Not in the working directory: nothing that lies there is meant for the host.
                cwd=self.log_path.parent,
                # A group of its own: ctrl+c in the terminal is for the one in front, who then stops the host.
                start_new_session=True,
            )
        assert process.stdin is not None
        process.stdin.write(self.config.as_json() + b"\n")
        return process

    async def _announced(self, process: Process) -> str:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            said = announcement(line)
            if "listening" in said:
                return str(said["listening"])
            if "error" in said:
                await _ends_within(process, 5.0)  # `start` ends one that does not
                raise announced_failure(said)
        raise early_end(await process.wait(), self.log_path, self._log_start)

    async def _read_report(self, process: Process) -> None:
        """Read what the child prints after its announcement, so that a full pipe never stops it."""
        assert process.stdout is not None
        rest = b""
        while piece := await process.stdout.read(65_536):
            *lines, rest = (rest + piece).split(b"\n")
            rest = rest[-65_536:]
            for line in lines:
                if isinstance(report := announcement(line).get("report"), list):
                    self.report = [str(text) for text in report]

    def _log_hint(self) -> str:
        return log_hint(self.log_path, self._log_start)


async def _ends_within(process: Process, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        return False
    return True


def opened_log(path: Path) -> IO[bytes]:
    """The log of a new host, to be appended to; one that is long is put aside first.

    Raises:
        OSError: it cannot be written.
    """
    private_folder(path.parent)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".old.log"))
    return open_private(path, "ab")


def last_words(path: Path, start: int) -> list[str]:
    """The last lines of a log from position `start` on, oldest first."""
    try:
        with path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(start, end - 32_768))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-LAST_WORDS:]


def log_hint(path: Path, start: int) -> str:
    """The end of a message about a host that did not start."""
    words = last_words(path, start)
    last = f"; it last said: {words[-1]}" if words else ""
    return f"{last}; its log is {path}"


def announced_failure(said: dict[str, Any]) -> HostFailed:
    """The error of a host that said why it cannot listen."""
    return HostFailed(_code(said.get("exit_code")), str(said["error"]))


def early_end(code: int, log_path: Path, log_start: int) -> HostFailed:
    """The error of a host that ended without a word."""
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return HostFailed(
        _code(code), f"the host ended before it listened ({how}){log_hint(log_path, log_start)}"
    )


def announcement(line: bytes) -> dict[str, Any]:
    """A line of the host's stdout as an object; empty if it is none."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}  # a library that prints
    return said if isinstance(said, dict) else {}


def _code(code: object) -> int:
    return code if isinstance(code, int) and code in _NAMED else ExitCode.ENGINE_FAILED


def _signal(send: Any) -> None:
    try:
        send()
    except ProcessLookupError:
        pass  # it ended in this moment
