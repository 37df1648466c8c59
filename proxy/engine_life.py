"""One life of an engine: from the start of its process until that has ended, watched all the while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from proxy.engine_exit import EngineExit, explain_exit
from proxy.engine_log import EngineLog
from proxy.engine_process import EngineCommand, EngineProcess, Patience
from proxy.engine_status import StatusBoard, Traffic
from proxy.engine_watch import EngineWatch

_NO_FAULT = ("INFO ", "DEBUG ")  # how the engine begins lines that explain no end
_NO_PATIENCE = Patience(closed_s=0.5, terminated_s=0.5)  # with an engine that has been given up


@dataclass(frozen=True, slots=True)
class LifeEnd:
    """How it ended; `exit` is None where we wanted it, `healthy_s` counts from when it was ready first."""

    exit: EngineExit | None
    healthy_s: float = 0.0
    broken: int = 0  # requests that it took with it


class EngineLife:
    """Starts one process and shows on the board how it fares; `run` may be called once."""

    def __init__(
        self,
        command: EngineCommand,
        *,
        board: StatusBoard,
        log: EngineLog,
        traffic: Traffic,
        watch: EngineWatch,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = command
        self._board = board
        self._log = log
        self._traffic = traffic
        self._watch = watch
        self._timing = watch.timing
        self._clock = clock
        self._monotonic = monotonic
        self._last_line = ""

    async def run(self, unwanted: asyncio.Event) -> LifeEnd:
        """Live until the process ends, has to be ended, or `unwanted` is set; the process is gone then."""
        self._board.set(
            "starting", pid=None, started=self._clock(), progress=None, detail="", running=0, queue=0,
            cache=None,
        )  # fmt: skip
        try:
            process = await EngineProcess.start(self._command, self._take_line)
        except OSError as error:
            return LifeEnd(EngineExit(f"the engine could not be started: {error}", final=True))
        self._board.set(pid=process.pid)
        ending = asyncio.create_task(process.wait())
        watching = asyncio.create_task(self._watch_over(process))
        interrupted = asyncio.create_task(unwanted.wait())
        tasks = (ending, watching, interrupted)
        patience = self._timing.patience
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            broken = self._traffic.broken_now()
            given_up = watching.result() if watching.done() and not ending.done() else ""
            by_itself = ending.done()
            if given_up:
                patience = _NO_PATIENCE
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            code = await process.stop(patience)
        ready_since = self._watch.ready_since
        healthy = 0.0 if ready_since is None else self._monotonic() - ready_since
        if given_up:
            return LifeEnd(EngineExit(given_up), healthy, broken)
        if not by_itself:
            return LifeEnd(None, healthy, broken)
        exit = explain_exit(
            code,
            announced=process.announced_error,
            last_line=self._last_line,
            was_ready=ready_since is not None,
        )
        return LifeEnd(exit, healthy, broken)

    def _take_line(self, line: str) -> None:
        if line.strip() and not line.startswith(_NO_FAULT):
            self._last_line = line.strip()
        self._log.add(line)

    async def _watch_over(self, process: EngineProcess) -> str:
        """Show how it fares; returns why it must be ended, once it must."""
        limit = self._timing.listens_within
        try:
            url = await asyncio.wait_for(process.listening(), limit)
        except TimeoutError:
            return f"engine did not listen within {limit:g} s"
        self._board.set("loading", url=url)
        return await self._watch.over(url, process.pid)
