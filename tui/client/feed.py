"""Fills the screen's inbox with one host's events, for as long as the screen is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress

from proxy.events.types import HostState
from tui.client.event_stream import PAUSES_S, Arrival, Break, EventFollower
from tui.client.host_client import HostClient, HostError
from tui.client.inbox import Damaged, Inbox, Past
from tui.client.records import EARLIER, Link, LinkState


class Feed:
    """One reader of one host; everything it learns goes into `inbox`."""

    def __init__(
        self,
        client: HostClient,
        inbox: Inbox,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._client = client
        self._inbox = inbox
        self._clock = clock
        self._began: tuple[int, float] | None = None  # the host whose past was handed over
        self._follower = EventFollower(client, sleep=sleep, pauses_s=pauses_s)

    async def follow(self) -> None:
        """Follow until cancelled; each break is reported to the inbox and followed by a new attempt."""
        self._link("connecting", self._client.url)
        async with aclosing(self._follower.follow()) as items:
            async for item in items:
                match item:
                    case HostState():
                        # Events that the host no longer holds are not lost to a screen that begins here.
                        self._follower.seq = self._follower.seq or max(0, item.first_seq - 1)
                        self._inbox.put(item)
                        await self._begin(item)
                        self._link("live")
                    case Arrival(event=event):
                        self._inbox.put(event if event is not None else Damaged())
                    case Break(reason, attempt):
                        # The address is on the screen already, and leaves no room for the reason.
                        self._link("reconnecting", reason.removeprefix(f"{self._client.url}: "), attempt)

    async def _begin(self, state: HostState) -> None:
        """Hand over what happened before a host that is new here; one of an older version cannot tell."""
        if self._began == (state.pid, state.started):
            return
        self._began = (state.pid, state.started)
        with suppress(HostError):
            self._inbox.put(Past(await self._client.history(EARLIER)))

    async def refresh(self) -> None:
        """Ask the host for its own account and hand it to the inbox. Raises HostError."""
        self._inbox.put(await self._client.state())

    def _link(self, state: LinkState, detail: str = "", attempt: int = 0) -> None:
        self._inbox.put(Link(state, detail, self._clock(), attempt))
