"""One life of an engine: from the start of its process until that has ended, watched all the while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from proxy.engine_exit import EngineExit, explain_exit
from proxy.engine_health import EngineHealth, HealthProbe, Verdict, Watchdog
from proxy.engine_log import EngineLog
from proxy.engine_process import EngineCommand, EngineProcess, Patience
from proxy.engine_status import StatusBoard, Traffic
from proxy.events import EngineStatus, Probe

_CLOSEST_PROBES_S = 0.5  # however many requests arrive
_NO_PATIENCE = Patience(closed_s=0.5, terminated_s=0.5)  # with an engine that has been given up


@dataclass(frozen=True, slots=True)
class Timing:
    """How often to look, and how long to wait; all in seconds."""

    listens_within: float = 120.0  # imports on a cold disk
    probe_loading: float = 0.25
    probe_busy: float = 2.0
    probe_idle: float = 30.0
    stalled_after: float = 60.0  # without progress in work: said on screens
    lost_after: float = 180.0  # without progress in work: the process is ended
    loading_lost_after: float = 900.0  # loading without any progress, such as a download that hangs
    patience: Patience = field(default_factory=Patience)


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
        probe: HealthProbe,
        timing: Timing,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = command
        self._board = board
        self._log = log
        self._traffic = traffic
        self._probe = probe
        self._timing = timing
        self._clock = clock
        self._monotonic = monotonic
        self._ready_since: float | None = None
        self._probed = 0.0
        self._last_line = ""

    async def run(self, unwanted: asyncio.Event) -> LifeEnd:
        """Live until the process ends, has to be ended, or `unwanted` is set; the process is gone then."""
        self._board.set(
            "starting", pid=None, started=self._clock(), progress=None, detail="", running=0, queue=0
        )
        try:
            process = await EngineProcess.start(self._command, self._take_line)
        except OSError as error:
            return LifeEnd(EngineExit(f"the engine could not be started: {error}", final=True))
        self._board.set(pid=process.pid)
        ending = asyncio.create_task(process.wait())
        watching = asyncio.create_task(self._watch(process))
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
        healthy = 0.0 if self._ready_since is None else self._monotonic() - self._ready_since
        if given_up:
            return LifeEnd(EngineExit(given_up), healthy, broken)
        if not by_itself:
            return LifeEnd(None, healthy, broken)
        was_ready = self._ready_since is not None
        exit = explain_exit(
            code, announced=process.announced_error, last_line=self._last_line, was_ready=was_ready
        )
        return LifeEnd(exit, healthy, broken)

    def _take_line(self, line: str) -> None:
        if line.strip():
            self._last_line = line.strip()
        self._log.add(line)

    async def _watch(self, process: EngineProcess) -> str:
        """Show how it fares; returns why it must be ended, once it must."""
        timing = self._timing
        try:
            url = await asyncio.wait_for(process.listening(), timing.listens_within)
        except TimeoutError:
            return f"engine did not listen within {timing.listens_within:g} s"
        self._board.set("loading", url=url)
        watchdog = Watchdog(
            stalled_after_s=timing.stalled_after,
            lost_after_s=timing.lost_after,
            loading_lost_after_s=timing.loading_lost_after,
            monotonic=self._monotonic,
        )
        while True:
            probe, health = await self._probe.ask(url)
            self._probed = self._monotonic()
            verdict = watchdog.judge(health)
            if verdict == "lost":
                what = "did not answer" if health is None else "made no progress"
                return f"engine {what} for {watchdog.silence_s:.0f} s"
            self._show(process.pid, probe, health, verdict, watchdog.silence_s)
            await self._pause(probe)

    def _show(
        self, pid: int, probe: Probe, health: EngineHealth | None, verdict: Verdict, silence_s: float
    ) -> None:
        board = self._board
        state = self._state(health, verdict)
        detail = (health.detail if health else probe.detail) or ""
        if state == "stalled":
            detail = f"no progress for {silence_s:.0f} s" + (f": {detail}" if detail else "")
        if state == "loading":
            progress = health.progress if health else board.state.progress
            if not board.shows(state, progress=progress, detail=detail):
                board.set(state, progress=progress, detail=detail, memory_bytes=memory_bytes(pid, health))
            return
        if self._ready_since is None:
            self._ready_since = self._monotonic()
        board.add_probe(probe)
        known = {} if health is None else {"running": health.running, "queue": health.queue} | _named(health)
        board.set(
            state, detail=detail, progress=None, probe=probe, memory_bytes=memory_bytes(pid, health), **known
        )

    def _state(self, health: EngineHealth | None, verdict: Verdict) -> EngineStatus:
        if health is not None and health.state == "loading":
            return "loading"
        if verdict == "stalled":
            return "stalled"
        if health is None:
            return self._board.state.state  # one answer that did not come changes nothing yet
        return "busy" if health.busy else "ready"

    async def _pause(self, probe: Probe) -> None:
        state, timing = self._board.state.state, self._timing
        if state == "loading":
            await asyncio.sleep(timing.probe_loading)
            return
        at_rest = state == "ready" and probe.ok and not self._traffic.in_flight
        try:
            await asyncio.wait_for(
                self._traffic.arrived.wait(), timing.probe_idle if at_rest else timing.probe_busy
            )
        except TimeoutError:
            pass
        self._traffic.arrived.clear()
        await asyncio.sleep(max(0.0, self._probed + _CLOSEST_PROBES_S - self._monotonic()))


def memory_bytes(pid: int, health: EngineHealth | None) -> int:
    """Memory of the process: what the system counts, or what it says itself where that is more (Metal)."""
    said = health.memory_bytes if health is not None else 0
    try:
        return max(said, int(psutil.Process(pid).memory_info().rss))
    except psutil.Error:
        return said


def _named(health: EngineHealth) -> dict[str, str]:
    named = {"model": health.model, "accelerated": health.accelerated}
    return {name: value for name, value in named.items() if isinstance(value, str) and value}
