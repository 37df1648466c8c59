"""Where a host publishes what happens: a bounded memory of events that any number of readers follow.

A reader is a position in that memory and nothing else, so it costs no copy, and a slow one delays no other:
when the memory has moved past it, it learns how many events it lost and goes on with what is left. The bus
belongs to one event loop; other threads publish through `loop.call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from engine.wire.json_text import encode_json
from proxy.events.types import EventData, Lost

Listener = Callable[[str, str | None, EventData], None]
"""Called with type, request id and payload of each event as it is published; must return at once."""

_BATCH_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Published:
    """One event as it goes over the wire: its number and its JSON object."""

    seq: int
    type: str
    json: bytes


class EventBus:
    """Numbers events, remembers the newest and wakes those who follow."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        keep_events: int = 20_000,
        keep_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        self.seq = 0  # of the newest event; 0 before the first
        self.first_seq = 1  # of the oldest event that is still held
        self.closed = False
        self._clock = clock
        self._keep_events = keep_events
        self._keep_bytes = keep_bytes
        self._held: dict[int, Published] = {}
        self._held_bytes = 0
        self._listeners: list[Listener] = []
        self._lost_listeners: list[Callable[[int], None]] = []
        self._waiting: set[asyncio.Future[None]] = set()

    def listen(self, listener: Listener) -> None:
        """Call `listener` within each `publish`, with the payload as it was given."""
        self._listeners.append(listener)

    def listen_to_losses(self, listener: Callable[[int], None]) -> None:
        """Call `listener` with the number of events that a slow reader lost, each time that happens."""
        self._lost_listeners.append(listener)

    def publish(self, type: str, data: EventData, request: str | None = None) -> int:
        """Publish one event to all readers and listeners; returns its number."""
        self.seq += 1
        event = Published(self.seq, type, _wire(self.seq, self._clock(), type, request, data))
        self._held[self.seq] = event
        self._held_bytes += len(event.json)
        while len(self._held) > self._keep_events or self._held_bytes > self._keep_bytes:
            self._forget_oldest()
        for listener in self._listeners:
            listener(type, request, data)
        if self._waiting:
            self._wake()
        return self.seq

    def follow(self, since: int | None = None) -> BusReader:
        """Follow from now on, or from the event after number `since` (0: everything that is still held).

        A number from the future comes from an earlier host on the same address; it replays everything.
        """
        if since is None:
            since = self.seq
        elif since > self.seq or since < 0:
            since = 0
        return BusReader(self, since)

    @property
    def held_since(self) -> float | None:
        """When the oldest event that is still held was published; None where none was forgotten."""
        oldest = self._held.get(self.first_seq)
        if self.first_seq == 1 or oldest is None:
            return None
        return float(orjson.loads(oldest.json)["time"])

    def close(self) -> None:
        """End all readers once they have read what is held."""
        self.closed = True
        self._wake()

    def report_lost(self, count: int) -> None:
        """Report to the loss listeners that a reader missed `count` events."""
        for listener in self._lost_listeners:
            listener(count)

    def held_after(self, seq: int, most_bytes: int = _BATCH_BYTES) -> list[Published]:
        """The events after `seq`, oldest first, as many as fit in `most_bytes` and at least one."""
        events: list[Published] = []
        size = 0
        for number in range(seq + 1, self.seq + 1):
            event = self._held[number]
            size += len(event.json)
            if events and size > most_bytes:
                break
            events.append(event)
        return events

    def lost_notice(self, before_seq: int, count: int) -> Published:
        """The `host.lost` event for one reader; its number is that of the last event lost."""
        return Published(
            before_seq, "host.lost", _wire(before_seq, self._clock(), "host.lost", None, Lost(count=count))
        )

    async def published(self, timeout: float | None) -> None:
        """Wait until something is published, the bus is closed, or the time is over."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(waiter)

    def _forget_oldest(self) -> None:
        self._held_bytes -= len(self._held.pop(self.first_seq).json)
        self.first_seq += 1

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()


class BusReader:
    """One reader's place in the bus."""

    def __init__(self, bus: EventBus, since: int) -> None:
        self._bus = bus
        self._read = since  # number of the newest event that was handed out

    async def next(self, timeout: float | None = None) -> list[Published]:
        """The next events, oldest first; empty when `timeout` seconds passed or the bus is closed."""
        bus = self._bus
        if self._read >= bus.seq and not bus.closed:
            await bus.published(timeout)
        if self._read >= bus.seq:
            return []
        events = []
        lost = bus.first_seq - 1 - self._read
        if lost > 0:
            self._read = bus.first_seq - 1
            events.append(bus.lost_notice(self._read, lost))
            bus.report_lost(lost)
        events += bus.held_after(self._read)
        self._read = events[-1].seq
        return events

    @property
    def ended(self) -> bool:
        """Whether the bus is closed and everything was read."""
        return self._bus.closed and self._read >= self._bus.seq


def _wire(seq: int, at: float, type: str, request: str | None, data: EventData) -> bytes:
    try:
        payload = data.__pydantic_serializer__.to_json(data)
    except ValueError:  # a lone surrogate in wire text
        payload = encode_json(data.model_dump())
    subject = b"null" if request is None else encode_json(request)
    return b'{"seq":%d,"time":%.3f,"type":"%s","request":%s,"data":%s}' % (
        seq, at, type.encode(), subject, payload,
    )  # fmt: skip
