"""Takes a recording from a host: what it still has, and on from there as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from engine.wire.json_text import encode_json
from proxy.events.types import Event, HostState
from proxy.recordings.beginning import state_before
from proxy.recordings.format import Contact, Contents
from proxy.recordings.secrets import RecordedFacts
from proxy.recordings.writing import RecordingWriter
from proxy.traces.redaction.redact import Redactor
from proxy.traces.schema import Trace, TraceSummary
from tui.client.event_stream import Arrival, Break, EventFollower
from tui.client.host_client import HostClient, HostError

HELD_WITHIN_S = 20.0  # so long the events that a host still has may take
ROWS = 200
MOST_MARKED = 20
ASKED = ("/anyclaude/cache",)  # of the host API: what is in no event and in no trace
ASKED_EVERY_S, ASKED_AGAIN_S = 30.0, 5.0  # after an answer, and after none, as of an engine that starts
MOST_BODIES = 24 << 20  # bytes of traces with their texts


@dataclass(frozen=True, slots=True)
class RecordingWish:
    """What is to be recorded; `minutes` of what the host still has (None: all), `traces` with their texts."""

    contents: Contents = "redacted"
    minutes: float | None = None
    traces: Sequence[str] = ()
    marked: bool = True  # also the marked traces with their texts
    secrets: Sequence[str] = ()


@dataclass(slots=True)
class Taken:
    """What a recording has got: the host, its traces with texts, and what could not be had."""

    host: HostState | None = None
    traces: list[Trace] = field(default_factory=list)  # without what must not be recorded
    left_out: list[str] = field(default_factory=list)


class RecordingTaker:
    """Takes one recording of one host into a writer. Methods raise `OSError` and `RecordingFull`."""

    def __init__(
        self,
        client: HostClient,
        writer: RecordingWriter,
        wish: RecordingWish,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.taken = Taken()
        self._client = client
        self._writer = writer
        self._wish = wish
        self._clock = clock
        self._facts = RecordedFacts(Redactor(wish.secrets), wish.contents)
        self._follower = EventFollower(client)
        self._contact = True
        self._next_asked = 0.0  # when what is in no event is asked for again (epoch seconds)

    async def take_held(self) -> None:
        """Take what the host still has.

        Raises:
            HostError: the host does not answer.
        """
        events: list[Event] = []
        state: HostState | None = None
        try:
            async with asyncio.timeout(HELD_WITHIN_S), aclosing(self._follower.follow()) as items:
                async for item in items:
                    match item:
                        case HostState():
                            state = item
                        case Arrival(event=Event() as event):
                            events.append(event)
                        case Break(reason):
                            raise HostError(reason)
                    if state is not None and self._follower.seq >= state.seq:
                        break
        except TimeoutError:
            pass  # a host that is that busy: what came by then
        if state is None:
            raise HostError(f"{self._client.url}: no answer in time")
        await self._begin(state, [event for event in events if event.type != "host.lost"])

    async def take_on(self, flushed_s: float = 1.0) -> None:
        """Take what comes, until cancelled; each break is noted, and followed by a new attempt."""
        flushed = self._clock()
        async with aclosing(self._follower.follow()) as items:
            async for item in items:
                match item:
                    case HostState():
                        self._came_back(item)
                    case Arrival(event=Event() as event):
                        self._write(event)
                    case Break(reason):
                        self._note_contact("reconnecting", reason)
                if self._clock() >= self._next_asked:
                    await self._ask_paths()
                if self._clock() - flushed >= flushed_s:
                    self._writer.flush()
                    flushed = self._clock()

    async def finish(self) -> None:
        """Take the list of traces and the wished ones; without a host, say that they are missing."""
        self._write_rest()
        await self._ask_paths()
        try:
            rows = await self._rows(ROWS)
            marked = await self._rows(MOST_MARKED, q="is:marked") if self._wish.marked else []
        except (HostError, ValueError) as error:
            self.taken.left_out.append(f"the list of traces: {error}")
            rows, marked = [], []
        for row in {row.id: row for row in (*rows, *marked)}.values():
            self._writer.write("row", row.time, self._facts.row(row))
        room = MOST_BODIES
        for trace_id in dict.fromkeys((*self._wish.traces, *(row.id for row in marked))):
            try:
                trace = self._facts.trace(await self._client.trace(trace_id))
            except HostError as error:
                self.taken.left_out.append(f"trace {trace_id}: {error}")
                continue
            size = len(encode_json(trace.model_dump()))
            if size > room:  # a smaller one may still have room
                self.taken.left_out.append(f"trace {trace_id}: over {MOST_BODIES >> 20} MB of traces")
                continue
            room -= size
            self._writer.write("trace", trace.time, trace)
            self.taken.traces.append(trace)

    async def _rows(self, limit: int, **params: str) -> list[TraceSummary]:
        listed = await self._client.fields("/anyclaude/traces", limit=str(limit), **params)
        return [TraceSummary.model_validate(row) for row in listed.get("traces") or ()]

    async def _ask_paths(self) -> None:
        """Note what only the host knows; one of another version or backend may have no answer."""
        every = ASKED_EVERY_S
        for path in ASKED:
            try:
                answer = self._facts.answer(path, await self._client.fields(path))
            except HostError:
                every = ASKED_AGAIN_S
            else:
                self._writer.write("answer", self._clock(), answer)
        self._next_asked = self._clock() + every

    async def _begin(self, state: HostState, events: list[Event]) -> None:
        if self._wish.minutes is not None:
            events = _since(events, self._clock() - self._wish.minutes * 60)
        begin = self._facts.state(state_before(state, events))
        at = events[0].time if events else self._clock()
        self.taken.host = begin
        self._writer.write("state", at, begin)
        try:
            past = await self._client.history(ROWS)
        except HostError:  # of an older version
            past = []
        self._writer.write("past", at, [self._facts.single(event).model_dump() for event in past])
        for event in events:
            self._write(event)
        await self._ask_paths()
        self._writer.flush()

    def _came_back(self, state: HostState) -> None:
        if not self._contact or self.taken.host is None or state.pid != self.taken.host.pid:
            self._note_contact("live", "")
            self.taken.host = self._facts.state(state)
            self._writer.write("state", self._clock(), self.taken.host)

    def _note_contact(self, state: str, detail: str) -> None:
        if (state == "live") != self._contact:
            self._contact = state == "live"
            self._write_rest()
            contact = Contact.model_validate({"state": state, "detail": detail})
            self._writer.write("contact", self._clock(), contact)

    def _write(self, event: Event) -> None:
        for clean in self._facts.event(event):
            self._writer.write("event", clean.time, clean)

    def _write_rest(self) -> None:
        for clean in self._facts.rest():
            self._writer.write("event", clean.time, clean)


def _since(events: list[Event], moment: float) -> list[Event]:
    """The events since a moment, and before it those of requests that ran then."""
    running = {event.request for event in events if event.request and event.time >= moment}
    return [event for event in events if event.time >= moment or event.request in running]
