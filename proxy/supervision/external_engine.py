"""An engine that the host did not start: it is watched, but never started or stopped."""

from __future__ import annotations

import asyncio
import time

from proxy.events.bus import EventBus
from proxy.events.errors import UpstreamError
from proxy.events.types import EngineState
from proxy.supervision.gate import gate
from proxy.supervision.health import HealthProbe
from proxy.supervision.status import RequestTracker, StatusBoard
from proxy.supervision.task_end import end_tasks
from proxy.supervision.watch import EngineWatch, Timing


class ExternalEngine:
    """Watches the engine at an address and keeps its state on a board."""

    def __init__(self, url: str, *, bus: EventBus, model: str, timing: Timing | None = None) -> None:
        self.board = StatusBoard(bus, EngineState(state="starting", url=url, model=model))
        self._url = url
        self._probe = HealthProbe()
        self._requests = RequestTracker(bus)
        self._timing = timing or Timing()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start watching."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop watching; the engine continues."""
        if self._task is not None:
            await end_tasks(self._task)
        await self._probe.close()

    def gate(self) -> UpstreamError | None:
        """None: the engine itself refuses requests that it cannot accept."""
        return None

    def unready(self) -> UpstreamError | None:
        """Why the engine cannot accept requests, by its last report; None if it can."""
        return gate(self.board.state, now=time.time(), restart_at=0.0)

    async def _run(self) -> None:
        while True:
            probe, health = await self._probe.ask(self._url)
            if health is not None:
                watch = EngineWatch(
                    board=self.board, requests=self._requests, probe=self._probe, timing=self._timing
                )
                reason = await watch.run(self._url, None, stop_when_refused=True)
            else:
                reason = f"no engine answers at {self._url} ({probe.detail}); start one there"
            if not self.board.shows("exited", detail=reason):
                self.board.set(
                    "exited", detail=reason, progress=None, running=0, queue=0, memory_bytes=0, cache=None
                )
            await asyncio.sleep(self._timing.probe_busy)
