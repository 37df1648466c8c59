"""Follows one host's events for as long as the screen is there, through every break of the connection.

Format: server-sent events as in docs/architecture.md. Lines are split on the
bytes: a JSON string may hold U+2028 and its like, at which text splitters would cut it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import httpx

from proxy.events.types import Event, HostState
from tui.client.host_client import HostClient, HostError, describe, refusal
from tui.client.inbox import Damaged, Inbox
from tui.client.records import Link

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
# The host sends a comment after 10 s in which it has nothing to say.
SILENCE_S = 35.0


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
        self._sleep = sleep
        self._pauses_s = pauses_s
        self._host: tuple[int, float] | None = None
        self._seq = 0  # of the newest event that came through

    async def follow(self) -> None:
        """Follow until cancelled; each break is told to the inbox and followed by a new attempt."""
        attempt = 0
        while True:
            if attempt == 0 and self._host is None:
                self._inbox.put(Link("connecting", self._client.url, self._clock()))
            try:
                state = await self.refresh()
                self._inbox.put(Link("live", "", self._clock()))
                attempt = 0
                await self._read(state)
                reason = "the host ended the stream"
            except HostError as error:
                reason = str(error)
            except httpx.HTTPError as error:
                reason = describe(error)
            attempt += 1
            self._inbox.put(Link("reconnecting", reason, self._clock(), attempt))
            await self._sleep(self._pauses_s[min(attempt, len(self._pauses_s)) - 1])

    async def refresh(self) -> HostState:
        """Ask the host for its own account and hand it to the inbox. Raises HostError."""
        state = await self._client.state()
        if self._host != (state.pid, state.started):
            self._host, self._seq = (state.pid, state.started), 0
        self._inbox.put(state)
        return state

    async def _read(self, state: HostState) -> None:
        since = self._seq or max(0, state.first_seq - 1)
        headers = {"accept": "text/event-stream", "accept-encoding": "identity"}
        if self._seq:
            headers["last-event-id"] = str(self._seq)
        timeout = httpx.Timeout(10.0, read=SILENCE_S)
        async with self._client.http.stream(
            "GET", "/anyclaude/events", params={"since": str(since)}, headers=headers, timeout=timeout
        ) as answer:
            if answer.status_code != 200:
                raise HostError(
                    refusal(answer.status_code, (await answer.aread()).decode("utf-8", "replace"))
                )
            async for data in sse_data(answer.aiter_raw()):
                self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            event = Event.model_validate_json(data)
        except ValueError:
            self._inbox.put(Damaged())
            return
        self._seq = max(self._seq, event.seq)
        self._inbox.put(event)


async def sse_data(chunks: AsyncIterator[bytes], limit: int = 64 << 20) -> AsyncIterator[bytes]:
    """The `data` of each server-sent event in a stream of bytes, however the bytes are cut.

    Comments and other fields are passed over. An event of more than `limit` bytes is passed over as well.
    """
    rest = b""
    data: list[bytes] = []
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data = []
        if len(rest) > limit:
            rest, data = b"", []
