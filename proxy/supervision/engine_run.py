"""One run of the engine: its process from start to end, watched in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from proxy.supervision.exit import EngineExit, explain_exit
from proxy.supervision.log import EngineLog
from proxy.supervision.process import EngineCommand, EngineProcess, StopTimeouts
from proxy.supervision.status import RequestTracker, StatusBoard
from proxy.supervision.task_end import end_tasks
from proxy.supervision.watch import EngineWatch

_NO_FAULT = ("INFO ", "DEBUG ")  # log lines that begin so do not explain an exit
# For an unresponsive engine. A process killed while the GPU works for it can crash the system, so it gets
# time to finish its chunk.
_SHORT_TIMEOUTS = StopTimeouts(closed_s=0.5, terminated_s=5.0)
_CANNOT_BE_KILLED = (
    "the engine's process {pid} does not end, even after SIGKILL: it waits for a device; if it is still there"
    " after a minute, restart the machine"
)


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The end of a run; `exit` is None if it was requested, `healthy_s` counts from the first ready state."""

    exit: EngineExit | None
    healthy_s: float = 0.0
    broken: int = 0  # requests that failed with it

    @property
    def message(self) -> str:
        """The reason, with the number of failed requests, for people."""
        return _with_lost_requests(self.exit.reason, self.broken) if self.exit is not None else ""


class EngineRun:
    """Starts one process and keeps its state on the board; `run` may be called once.

    `url` is its address, "" if the process announces it.
    """

    def __init__(
        self,
        command: EngineCommand,
        *,
        board: StatusBoard,
        log: EngineLog,
        requests: RequestTracker,
        watch: EngineWatch,
        url: str = "",
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = command
        self._board = board
        self._log = log
        self._requests = requests
        self._watch = watch
        self._url = url
        self._timing = watch.timing
        self._clock = clock
        self._monotonic = monotonic
        self._last_line = ""

    @property
    def came_up(self) -> bool:
        """Whether the engine was ready once."""
        return self._watch.ready_since is not None

    async def run(
        self, stop_requested: asyncio.Event, *, on_stop: Callable[[], None] = lambda: None
    ) -> RunEnd:
        """Run until the process ends, is unresponsive, or `stop_requested` is set; then it has ended.

        The board shows the end at once, before any slow step. `on_stop` is called then if a stop was
        requested.
        """
        self._board.set(
            "starting", pid=None, url=self._url, started=self._clock(), progress=None, detail="", running=0,
            queue=0, memory_bytes=0, cache=None, memory=None,
        )  # fmt: skip
        try:
            process = await EngineProcess.start(self._command, self._take_line)
        except OSError as error:
            return RunEnd(EngineExit(f"the engine could not be started: {error}", final=True))
        self._board.set(pid=process.pid)
        watching = asyncio.create_task(self._watch_process(process, stop_requested))
        interrupted = asyncio.create_task(stop_requested.wait())
        stop_timeouts = self._timing.stop_timeouts
        try:
            await asyncio.wait((process.ended, watching, interrupted), return_when=asyncio.FIRST_COMPLETED)
            broken = self._requests.failed_with_engine()
            exit = self._exit(process)  # first: other events may have happened at the same time
            watch_result = watching.result() if exit is None and watching.done() else ""
            if watch_result:
                exit, stop_timeouts = EngineExit(watch_result), _SHORT_TIMEOUTS
            if exit is not None:
                self._show_end(exit, broken)
            else:
                on_stop()
        finally:
            await end_tasks(watching, interrupted)
            code = await process.stop(stop_timeouts)
        if code is None:
            exit = EngineExit(_CANNOT_BE_KILLED.format(pid=process.pid), final=True)
        elif exit is not None and not watch_result:
            exit = self._exit(process)  # its last log lines have been read by now
        ready_since = self._watch.ready_since
        return RunEnd(exit, 0.0 if ready_since is None else self._monotonic() - ready_since, broken)

    def _exit(self, process: EngineProcess) -> EngineExit | None:
        """Why the process ended by itself, as far as known; None while it runs."""
        if process.exit_code is None:
            return None
        return explain_exit(
            process.exit_code,
            announced=process.announced_error,
            last_line=self._last_line,
            was_ready=self.came_up,
        )

    def _show_end(self, exit: EngineExit, broken: int) -> None:
        self._board.set(
            "exited", pid=None, url=self._url, progress=None, last_exit=exit.reason,
            detail=_with_lost_requests(exit.reason, broken), running=0, queue=0, memory_bytes=0, cache=None,
        )  # fmt: skip

    def _take_line(self, line: str) -> None:
        if line.strip() and not line.startswith(_NO_FAULT):
            self._last_line = line.strip()
        self._log.add(line)

    async def _watch_process(self, process: EngineProcess, stop_requested: asyncio.Event) -> str:
        """Watch the process; returns the reason when it must be stopped."""
        url = await self._address(process)
        if not url:
            return f"engine did not listen within {self._timing.listens_within:g} s"

        def is_active() -> bool:
            return process.exit_code is None and not stop_requested.is_set()

        if is_active():
            self._board.set("loading", url=url)
        return await self._watch.run(url, process.pid, is_active=is_active)

    async def _address(self, process: EngineProcess) -> str:
        """The address of the process; "" if it announced none in time.

        The timer of the event loop is not enough: on macOS it continues while the machine sleeps.
        """
        until = self._monotonic() + self._timing.listens_within
        while (left := until - self._monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    return await process.listening()
            except TimeoutError:
                pass
        return ""


def _with_lost_requests(reason: str, broken: int) -> str:
    requests = "1 request was" if broken == 1 else f"{broken} requests were"
    return f"{reason}; {requests} told to retry" if broken else reason
