"""The engine's current state, published at each change, and the requests that run on it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from proxy.events.bus import EventBus
from proxy.events.types import (
    CacheActed,
    EngineState,
    EngineStatus,
    EventData,
    Probe,
    RequestFailed,
    RequestFinished,
    RequestReceived,
)

KEPT_PROBES = 120
TAKES_REQUESTS: tuple[EngineStatus, ...] = ("ready", "busy", "stalled")
_FAILED_BEFORE_END_S = 2.0  # a request that failed so shortly before the engine's end failed because of it


class StatusBoard:
    """The newest `EngineState` and the last probes."""

    def __init__(self, bus: EventBus, first: EngineState, *, clock: Callable[[], float] = time.time) -> None:
        self.state = first.model_copy(update={"since": clock()})
        self.probes: deque[tuple[float, Probe]] = deque(maxlen=KEPT_PROBES)
        self.drain = ""
        """What the engine's restart waits for, for people; shown as the detail while it takes requests."""
        self._bus = bus
        self._clock = clock
        self._waiters: set[asyncio.Future[None]] = set()

    def set(self, state: EngineStatus | None = None, **changes: Any) -> None:
        """Change fields and publish the state; `since` is the time of the last change of `state`."""
        if state is not None and state != self.state.state:
            changes |= {"state": state, "since": self._clock()}
        if self.drain and changes.get("state", self.state.state) in TAKES_REQUESTS:
            changes["detail"] = self.drain
        self.state = self.state.model_copy(update=changes)
        self._bus.publish("engine.state", self.state)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def shows(self, state: EngineStatus, **fields: Any) -> bool:
        """Whether the board has this state already."""
        current = self.state.model_dump(include={"state", *fields})
        return bool(current == {"state": state, **fields})

    def add_probe(self, probe: Probe) -> None:
        """Keep a probe; the next change publishes it."""
        self.probes.append((self._clock(), probe))

    async def until(self, *states: EngineStatus) -> EngineState:
        """Wait until the engine is in one of these states."""
        while self.state.state not in states:
            await self.changed()
        return self.state

    async def changed(self) -> None:
        """Wait until it is set again."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)


class RequestTracker:
    """Tracks requests on the bus: wakes the watch, and counts the requests that the engine's end fails."""

    def __init__(self, bus: EventBus, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.arrived = asyncio.Event()  # set at each request and change of the cache; the waiter clears it
        self._in_flight: set[str | None] = set()
        self._failures: deque[float] = deque(maxlen=1000)
        self._monotonic = monotonic
        bus.listen(self._observe)

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    def failed_with_engine(self) -> int:
        """The number of requests that fail if the engine ends now, with those that failed just before."""
        recent = self._monotonic() - _FAILED_BEFORE_END_S
        return len(self._in_flight) + sum(moment >= recent for moment in self._failures)

    def _observe(self, type: str, request: str | None, data: EventData) -> None:
        match data:
            case RequestReceived():
                self._in_flight.add(request)
                self.arrived.set()
            case CacheActed():  # what the engine tells of its cache is another than at the last probe
                self.arrived.set()
            case RequestFinished():
                self._in_flight.discard(request)
            case RequestFailed():
                self._in_flight.discard(request)
                if data.status >= 500 and not data.cancelled:
                    self._failures.append(self._monotonic())
