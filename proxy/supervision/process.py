"""One engine process: it gets settings on stdin, and returns its address and its log.

The host keeps the pipe to stdin open. When it closes, the engine stops (`engine.process.parent_watch`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy.supervision.task_end import end_tasks

_PIECE = 65_536
_LAST_LINES_S = 1.0  # wait for its last lines; a grandchild may hold the pipes open
_LONGEST_LINE = 1 << 20  # bytes; a longer line is split


@dataclass(frozen=True, slots=True)
class EngineCommand:
    """The command that starts an engine.

    `folder` is its working directory; None: ours. A folder there must not have the name of a hub id.
    """

    settings: Mapping[str, Any]
    environment: Mapping[str, str]
    # -P: Python must not import a folder named `engine` of the working directory.
    arguments: Sequence[str] = field(default=(sys.executable, "-P", "-m", "engine"))
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class StopTimeouts:
    """Seconds to wait for the end of an engine after its pipe is closed, after SIGTERM and after SIGKILL.

    The engine first finishes its chunk on the GPU, for which SIGKILL does not wait. A process that waits for
    a device in the kernel does not end on SIGKILL either, so `killed_s` limits that wait too.
    """

    closed_s: float = 5.0
    terminated_s: float = 5.0
    killed_s: float = 5.0


class EngineProcess:
    """A running engine, created by `start`; always call `stop`."""

    def __init__(self, process: Process, ended: asyncio.Future[None], on_line: Callable[[str], None]) -> None:
        self.announced_error = ""
        self.ended = ended
        """Done when the system reports the end of the process; do not cancel it."""
        self._process = process
        self._on_line = on_line
        self._listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._readers = [
            asyncio.create_task(self._read_stdout()),
            asyncio.create_task(self._read_stderr()),
        ]

    @classmethod
    async def start(cls, command: EngineCommand, on_line: Callable[[str], None]) -> EngineProcess:
        """Start the process and send its settings; `on_line` gets each line of its log.

        Raises:
            OSError: the program cannot be started.
        """
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            lambda: _Exit(loop),
            *command.arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=dict(command.environment),
            cwd=command.folder,
            start_new_session=True,  # Ctrl-C in the terminal is for the host, which stops the engine
        )
        process = Process(transport, protocol, loop)
        engine = cls(process, protocol.exited, on_line)
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(dict(command.settings)).encode() + b"\n")
            await process.stdin.drain()
        except OSError:
            pass  # it has ended; its exit gives the reason
        return engine

    @property
    def pid(self) -> int:
        return self._process.pid

    async def listening(self) -> str:
        """Wait, without a limit, for the address that the process announces."""
        return await asyncio.shield(self._listening)

    @property
    def exit_code(self) -> int | None:
        """Negative for a signal; None while it runs."""
        return self._process.returncode

    async def stop(self, stop_timeouts: StopTimeouts = StopTimeouts()) -> int | None:
        """Stop the process: close its stdin, then SIGTERM, then SIGKILL; then read its last lines.

        Returns its exit code, or None if it has not ended within `stop_timeouts`.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        if not await self._ends_within(stop_timeouts.closed_s):
            self._signal(self._process.terminate)
            if not await self._ends_within(stop_timeouts.terminated_s):
                self._signal(self._process.kill)
                await self._ends_within(stop_timeouts.killed_s)
        if self.exit_code is not None:
            await asyncio.wait(self._readers, timeout=_LAST_LINES_S)
        await end_tasks(*self._readers)
        self._listening.cancel()
        self._process._transport.close()  # type: ignore[attr-defined]  # pipes that a grandchild holds open
        return self.exit_code

    async def _ends_within(self, seconds: float) -> bool:
        await asyncio.wait((self.ended,), timeout=seconds)
        return self.ended.done()

    def _signal(self, send: Callable[[], None]) -> None:
        try:
            send()
        except ProcessLookupError:
            pass  # it has just ended

    async def _read_stdout(self) -> None:
        assert self._process.stdout is not None
        async for line in _lines(self._process.stdout):
            message = _object(line)
            if message is None:
                self._on_line(line)
            elif "error" in message:
                self.announced_error = str(message["error"])
            elif "listening" in message and not self._listening.done():
                self._listening.set_result(str(message["listening"]))

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        async for line in _lines(self._process.stderr):
            self._on_line(line)


class _Exit(SubprocessStreamProtocol):
    """Reports the end of the process; `Process.wait` may also wait for pipes that others hold open."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=_PIECE, loop=loop)
        self.exited: asyncio.Future[None] = loop.create_future()

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)
        super().process_exited()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    rest = b""
    while piece := await stream.read(_PIECE):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace")
        if len(rest) > _LONGEST_LINE:
            yield rest.decode("utf-8", "replace")
            rest = b""
    if rest:
        yield rest.decode("utf-8", "replace")


def _object(line: str) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
