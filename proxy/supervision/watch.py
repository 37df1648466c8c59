"""Watches a listening engine: probes it, updates the board, and returns when it is unresponsive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil

from proxy.events.types import EngineStatus, Probe
from proxy.supervision.health import EngineHealth, HealthProbe, Responsiveness, Watchdog
from proxy.supervision.process import StopTimeouts
from proxy.supervision.status import RequestTracker, StatusBoard

_CLOSEST_PROBES_S = 0.5  # least time between probes


@dataclass(frozen=True, slots=True)
class Timing:
    """Intervals and limits in seconds."""

    listens_within: float = 120.0  # imports on a cold disk
    probe_loading: float = 0.25
    probe_busy: float = 2.0
    probe_idle: float = 30.0
    stalled_after: float = 60.0  # without progress in work: the state is `stalled`
    unresponsive_after: float = 180.0  # without progress in work: the process is ended
    loading_unresponsive_after: float = 900.0  # loading without any progress, such as a download that hangs
    stop_timeouts: StopTimeouts = field(default_factory=StopTimeouts)


class EngineWatch:
    """Watches one engine process, our own or an external one."""

    def __init__(
        self,
        *,
        board: StatusBoard,
        requests: RequestTracker,
        probe: HealthProbe,
        timing: Timing,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timing = timing
        self.ready_since: float | None = None  # the time of the first ready state, by `monotonic`
        self._board = board
        self._requests = requests
        self._probe = probe
        self._monotonic = monotonic
        self._probed = 0.0
        self._failed = False  # by its last report

    async def run(
        self,
        url: str,
        pid: int | None,
        *,
        is_active: Callable[[], bool] = lambda: True,
        stop_when_refused: bool = False,
    ) -> str:
        """Watch until the engine is unresponsive; returns the reason, for people.

        Args:
            is_active: whether the process is still to be watched; once it returns False, the board does not
                change any more and "" is returned.
            stop_when_refused: return when the connection is refused (our own process shows its exit).
        """
        watchdog = Watchdog(
            stalled_after_s=self.timing.stalled_after,
            unresponsive_after_s=self.timing.unresponsive_after,
            loading_unresponsive_after_s=self.timing.loading_unresponsive_after,
            monotonic=self._monotonic,
        )
        while is_active():
            probe, health = await self._probe.ask(url)
            if not is_active():  # whoever ended it updates the board
                break
            if stop_when_refused and self._probe.refused:
                return f"no engine answers at {url} any more ({probe.detail}); start one there"
            self._probed = self._monotonic()
            verdict = watchdog.judge(health)
            if verdict == "unresponsive":
                what = "did not answer" if health is None else "made no progress"
                return f"engine {what} for {watchdog.silence_s:.0f} s"
            if not self._is_ending(health, watchdog.silence_s):
                self._show(pid, probe, health, verdict, watchdog.silence_s)
            await self._pause(probe)
        return ""

    def _is_ending(self, health: EngineHealth | None, silence_s: float) -> bool:
        """Whether the engine has reported `failed` and is ending by itself; its exit gives the reason.

        Until then it may report `failed` again, or not answer.
        """
        if health is not None:
            self._failed = health.state == "failed"
        return self._failed and silence_s < self.timing.stalled_after

    def _show(
        self,
        pid: int | None,
        probe: Probe,
        health: EngineHealth | None,
        verdict: Responsiveness,
        silence_s: float,
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
        if self.ready_since is None and state in ("ready", "busy"):
            self.ready_since = self._monotonic()
        board.add_probe(probe)
        known = _health_fields(health) if health is not None else {}
        board.set(
            state, detail=detail, progress=None, probe=probe, memory_bytes=memory_bytes(pid, health), **known
        )

    def _state(self, health: EngineHealth | None, verdict: Responsiveness) -> EngineStatus:
        if health is not None and health.state == "loading":
            return "loading"
        if verdict == "stalled":
            return "stalled"
        if health is None:
            return self._board.state.state  # one missing answer does not change the state
        return "busy" if health.busy else "ready"

    async def _pause(self, probe: Probe) -> None:
        state, timing = self._board.state.state, self.timing
        if state == "loading":
            await asyncio.sleep(timing.probe_loading)
            return
        at_rest = state == "ready" and probe.ok and not self._requests.in_flight
        try:
            async with asyncio.timeout(timing.probe_idle if at_rest else timing.probe_busy):
                await self._requests.arrived.wait()
        except TimeoutError:
            pass
        self._requests.arrived.clear()
        await asyncio.sleep(max(0.0, self._probed + _CLOSEST_PROBES_S - self._monotonic()))


def memory_bytes(pid: int | None, health: EngineHealth | None) -> int:
    """Memory of the process in bytes: the larger of the system's and its own figure, which includes Metal."""
    reported = health.memory_bytes if health is not None else 0
    if pid is None:
        return reported
    try:
        return max(reported, int(psutil.Process(pid).memory_info().rss))
    except psutil.Error:
        return reported


def _health_fields(health: EngineHealth) -> dict[str, Any]:
    """The fields of a health report for the board; model fields only if they are reported."""
    work = {
        "running": health.running,
        "queue": health.queue,
        "cache": health.prefix_cache,
        "memory": health.memory,
    }
    named = {"model": health.model, "accelerated": health.accelerated}
    model: dict[str, Any] = {name: value for name, value in named.items() if isinstance(value, str) and value}
    model["notes"] = health.notes
    return work | model | ({"context_tokens": health.context_tokens} if health.context_tokens else {})
