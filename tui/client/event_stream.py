"""Follows one host's event stream through every break of the connection.

The format is that of `GET /anyclaude/events` in docs/architecture.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import httpx

from engine.wire.sse import SseReader
from proxy.events.types import Event, HostState
from tui.client.host_client import HostClient, HostError, describe, refusal

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
# The host sends a comment after 10 s in which it has nothing to say.
SILENCE_S = 35.0
_LONGEST_EVENT = 64 << 20


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event as it came; `event` is None where it cannot be read."""

    json: bytes
    event: Event | None


@dataclass(frozen=True, slots=True)
class Break:
    """The connection could not be made, or ended; `attempt` counts the attempts in vain, from 1."""

    reason: str
    attempt: int


class EventFollower:
    """One reader of one host's events. `follow` goes on after the event of number `seq`."""

    def __init__(
        self,
        client: HostClient,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self.seq = 0  # of the newest event that came; 0 for a host that is new
        self._client = client
        self._sleep = sleep
        self._pauses_s = pauses_s
        self._host: tuple[int, float] | None = None

    async def follow(self) -> AsyncGenerator[HostState | Arrival | Break]:
        """The host's state, its events as they come, and each break, without end.

        The state comes first, and again after each break: who iterates may then set `seq`. A host that was
        started anew is read from the beginning.
        """
        attempt = 0
        while True:
            try:
                state = await self._client.state()
                if self._host != (state.pid, state.started):
                    self._host, self.seq = (state.pid, state.started), 0
                attempt = 0
                yield state
                async with aclosing(self._arrivals()) as arrivals:
                    async for arrival in arrivals:
                        yield arrival
                reason = "the host ended the stream"
            except HostError as error:
                reason = str(error)
            except httpx.HTTPError as error:
                reason = describe(error)
            attempt += 1
            yield Break(reason, attempt)
            await self._sleep(self._pauses_s[min(attempt, len(self._pauses_s)) - 1])

    async def _arrivals(self) -> AsyncGenerator[Arrival]:
        headers = {"accept": "text/event-stream", "accept-encoding": "identity"}
        timeout = httpx.Timeout(10.0, read=SILENCE_S)
        params = {"since": str(self.seq)}
        async with self._client.http.stream(
            "GET", "/anyclaude/events", params=params, headers=headers, timeout=timeout
        ) as answer:
            if answer.status_code != 200:
                raise HostError(
                    refusal(answer.status_code, (await answer.aread()).decode("utf-8", "replace"))
                )
            reader = SseReader(_LONGEST_EVENT)
            async for chunk in answer.aiter_raw():
                for data in reader.feed(chunk):
                    yield Arrival(data, self._read(data))

    def _read(self, data: bytes) -> Event | None:
        try:
            event = Event.model_validate_json(data)
        except ValueError:
            return None
        self.seq = max(self.seq, event.seq)
        return event
