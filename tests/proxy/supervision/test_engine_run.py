"""The end of an engine that comes in the same tick as something else; the process is made to end on cue."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.events.bus import EventBus
from proxy.events.types import EngineState, Probe, RequestReceived
from proxy.supervision import engine_run
from proxy.supervision.engine_run import EngineRun, RunEnd
from proxy.supervision.health import EngineHealth, HealthProbe
from proxy.supervision.log import EngineLog
from proxy.supervision.process import EngineCommand, StopTimeouts
from proxy.supervision.status import RequestTracker, StatusBoard
from proxy.supervision.watch import EngineWatch, Timing
from tests.ticks import TICKS, cancelled_beside

NEVER = Timing(listens_within=600, probe_loading=600, probe_busy=600, probe_idle=600, unresponsive_after=600)


class Well(HealthProbe):
    """An engine that is always well; `asked` counts."""

    asked = 0

    async def ask(self, url: str) -> tuple[Probe, EngineHealth | None]:
        self.asked += 1
        await asyncio.sleep(0)
        return Probe(ok=True), EngineHealth(state="ready")


class Process:
    """Announces and ends when the test says so; `obeys` tells whether it can be ended at all."""

    pid = 4711
    announced_error = ""

    def __init__(self, *, obeys: bool = True) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.announced: asyncio.Future[str] = loop.create_future()
        self.exit_code: int | None = None
        self._obeys = obeys

    async def listening(self) -> str:
        return await asyncio.shield(self.announced)

    def end(self, code: int) -> None:
        self.exit_code = code
        self.ended.set_result(None)

    async def stop(self, stop_timeouts: StopTimeouts) -> int | None:
        if self.exit_code is None and self._obeys:
            self.end(0)
        return self.exit_code


class RunSetup:
    """A started run with its parts."""

    def __init__(
        self,
        folder: Path,
        process: Process,
        monkeypatch: pytest.MonkeyPatch,
        timing: Timing = NEVER,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bus = EventBus()
        self.board = StatusBoard(self.bus, EngineState(state="stopped"))
        self.requests = RequestTracker(self.bus)
        self.probe = Well()
        self.process = process
        self.stop_requested = asyncio.Event()
        self.left = 0
        self.watch = EngineWatch(board=self.board, requests=self.requests, probe=self.probe, timing=timing)
        run = EngineRun(
            EngineCommand({}, {}),
            board=self.board,
            log=EngineLog(folder / "engine.log", emit=str, notice=str),
            requests=self.requests,
            watch=self.watch,
            monotonic=monotonic,
        )

        class Made:
            @staticmethod
            async def start(command: EngineCommand, on_line: Callable[[str], None]) -> Process:
                return process

        monkeypatch.setattr(engine_run, "EngineProcess", Made)
        self.task = asyncio.create_task(run.run(self.stop_requested, on_stop=self._leave))

    def _leave(self) -> None:
        self.left += 1

    def asks(self) -> None:
        self.bus.publish("request.received", RequestReceived(), "req_1")

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def end(self) -> RunEnd:
        async with asyncio.timeout(5):
            return await self.task


@asynccontextmanager
async def started_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, process: Process | None = None, **timed: Any
) -> AsyncIterator[RunSetup]:
    run = RunSetup(folder, process or Process(), monkeypatch, **timed)
    try:
        yield run
    finally:
        run.task.cancel()
        await asyncio.wait((run.task,), timeout=2)
        await run.probe.close()


@pytest.mark.parametrize("ticks", TICKS)
async def test_a_request_in_the_tick_of_its_cancel_does_not_keep_the_watch_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticks: int
) -> None:
    async with started_run(tmp_path, monkeypatch) as run:
        work = run.watch.run("http://127.0.0.1:9", None)
        await cancelled_beside(work, run.asks, ticks)


@pytest.mark.parametrize(("before", "after"), itertools.product(TICKS, TICKS))
async def test_an_end_beside_a_request_is_noticed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, after: int
) -> None:
    async with started_run(tmp_path, monkeypatch) as run:
        run.process.announced.set_result("http://127.0.0.1:9")
        async with asyncio.timeout(5):
            await run.board.until("ready")
        await run.settle()
        run.asks()
        for _ in range(before):
            await asyncio.sleep(0)
        run.process.end(-signal.SIGKILL)
        for _ in range(after):
            await asyncio.sleep(0)
        run.asks()
        end = await run.end()
        assert end.exit is not None
        assert "signal 9" in end.exit.reason
        assert run.board.state.state == "exited"


@pytest.mark.parametrize("ticks", TICKS)
async def test_an_end_in_the_tick_of_the_announcement_is_noticed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticks: int
) -> None:
    async with started_run(tmp_path, monkeypatch) as run:
        await run.settle()
        run.process.announced.set_result("http://127.0.0.1:9")
        for _ in range(ticks):
            await asyncio.sleep(0)
        run.process.end(-signal.SIGKILL)
        assert (await run.end()).exit is not None
        assert run.board.state.state == "exited"


@pytest.mark.parametrize("ticks", TICKS)
async def test_being_unwanted_beside_a_request_ends_the_engine_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticks: int
) -> None:
    async with started_run(tmp_path, monkeypatch) as run:
        run.process.announced.set_result("http://127.0.0.1:9")
        async with asyncio.timeout(5):
            await run.board.until("ready")
        await run.settle()
        run.asks()
        for _ in range(ticks):
            await asyncio.sleep(0)
        run.stop_requested.set()
        assert (await run.end()).exit is None
        assert run.left == 1


async def test_a_watch_that_ignores_its_cancel_delays_nothing_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(url: str) -> tuple[Probe, EngineHealth | None]:
        asking.set()
        try:
            await answered.wait()
        except asyncio.CancelledError:
            pass  # as a library that swallows one
        return Probe(ok=True), EngineHealth(state="ready")

    async with started_run(tmp_path, monkeypatch) as run:
        asking, answered = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(run.probe, "ask", deaf)
        run.process.announced.set_result("http://127.0.0.1:9")
        async with asyncio.timeout(5):
            await asking.wait()
        run.process.end(-signal.SIGKILL)
        await run.end()
        assert run.board.state.state == "exited"


async def test_an_end_in_the_tick_of_a_lost_watch_is_the_engines_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def watch_process(url: str, pid: int | None, *, is_active: Callable[[], bool]) -> str:
        return "engine did not answer for 180 s"

    async with started_run(tmp_path, monkeypatch) as run:
        monkeypatch.setattr(run.watch, "run", watch_process)
        run.process.announced.set_result("http://127.0.0.1:9")
        run.process.end(-signal.SIGKILL)
        end = await run.end()
        assert end.exit is not None
        assert "signal 9" in end.exit.reason


async def test_a_process_that_cannot_be_killed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started_run(tmp_path, monkeypatch, Process(obeys=False)) as run:
        await run.settle()
        run.stop_requested.set()
        end = await run.end()
        assert end.exit is not None
        assert end.exit.final
        assert "process 4711 does not end, even after SIGKILL" in end.exit.reason


class Slept:
    """A clock that stands while the machine sleeps, as the loop's own does not on macOS."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0
        self.often = asyncio.Event()  # asked, though hardly any of its time has passed

    def __call__(self) -> float:
        self.asked += 1
        if self.asked > 5:
            self.often.set()
        return self.now


async def test_an_engine_that_slept_while_it_started_is_not_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Slept()
    short = replace(NEVER, listens_within=0.01)
    async with started_run(tmp_path, monkeypatch, timing=short, monotonic=clock) as run, asyncio.timeout(5):
        await clock.often.wait()
        run.process.announced.set_result("http://127.0.0.1:9")
        assert (await run.board.until("ready")).url == "http://127.0.0.1:9"


async def test_one_that_is_late_by_its_own_time_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Slept()
    short = replace(NEVER, listens_within=0.01)
    async with started_run(tmp_path, monkeypatch, timing=short, monotonic=clock) as run:
        async with asyncio.timeout(5):
            await clock.often.wait()
        clock.now = 1.0
        end = await run.end()
        assert end.exit is not None
        assert end.exit.reason == "engine did not listen within 0.01 s"


def test_an_engine_is_not_killed_before_it_can_finish_what_its_gpu_works_on() -> None:
    assert min(StopTimeouts().terminated_s, engine_run._SHORT_TIMEOUTS.terminated_s) >= 5
