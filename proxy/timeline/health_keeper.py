"""What a host keeps of its health: history, log, disk. It tells screens, and its own next start."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from proxy.events.bus import EventBus
from proxy.events.health_types import HostDisk, HostHistory
from proxy.events.types import Event, EventData
from proxy.timeline.health_file import HealthFileDamaged, health_path, read_health, write_health
from proxy.timeline.health_history import UNCLOSED, WEEK_S, HealthHistory, Span, StateMark
from proxy.timeline.log_book import FeedHandler, LogBook

_log = logging.getLogger("anyclaude.health")

SAVE_S = 30.0  # of 4 ms of CPU each with a whole week: a host that is killed loses no more
DISK_S = 60.0
MANY_TRACES, COUNT_TIMES = 2000, 10  # so many are counted again only after as many times `DISK_S`
_MOST_TRACES = 20_000  # of the index, for the time that no file knows
_DISK_STEP = 50_000_000  # bytes: what is less is not told
_OF_INDEX = (
    "SELECT time, took, ttft, session, failed, out, id FROM traces"
    " WHERE time >= ? AND time < ? AND NOT (time BETWEEN ? AND ?) ORDER BY time DESC LIMIT ?"
)


class PastTraces(Protocol):
    """The index of traces, for the requests of earlier hosts."""

    def select(self, statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]: ...


class HealthKeeper:
    """One host's; made within its event loop. With `keep` off, as where traces are, it has no file."""

    def __init__(
        self,
        bus: EventBus,
        home: Path,
        backend: str,
        *,
        started: float,
        clock: Callable[[], float],
        keep: bool = True,
    ) -> None:
        self.history = HealthHistory()
        self.log = LogBook(clock=clock)
        self.disk: HostDisk | None = None
        self.recalled = asyncio.Event()  # what was before the start is known, or will not be
        self._bus = bus
        self._home = home
        self._path = health_path(home, backend)
        self.keep = keep  # whether there is a file
        self._clock = clock
        self._started = started
        self._since = started  # of the history
        self._handler = FeedHandler(lambda line: bus.publish("host.log", line))
        self._tasks: list[asyncio.Task[None]] = []
        self._failing = False
        self._unwritten = (0, "")
        self._look = asyncio.Event()  # at the disk, before its time
        self.history.begin(started)
        bus.listen(self._observe)

    def start(self, index: PastTraces, traces: Callable[[], tuple[int, int]]) -> None:
        """Take what earlier hosts have left, listen to the program's log, and look at the disk at times.

        `traces` counts the trace files and their bytes; it is called in a thread.
        """
        logging.getLogger().addHandler(self._handler)
        self._tasks = [asyncio.create_task(self._watch_disk(traces))]
        if self.keep:
            self._tasks.append(asyncio.create_task(self._recall_and_save(index)))

    async def close(self) -> None:
        """Write the history with the host's end."""
        logging.getLogger().removeHandler(self._handler)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tasks and self.keep:
            self.history.marks.append(StateMark(self._clock(), "off"))
            await self._save()

    def unwritten(self, number: int, why: str) -> None:
        """So many requests in a row could not be recorded: the disk is looked at, and screens are told."""
        self._unwritten = (number, why)
        self._look.set()

    def past_event(self) -> Event:
        """All that is known by now, as the event that a screen begins with."""
        data = HostHistory(covers=self._bus.seq, **self.history.dump())
        return Event(seq=0, time=self._clock(), type="host.history", data=data.model_dump())

    def _observe(self, type: str, request: str | None, data: EventData) -> None:
        self.history.observe(self._clock(), type, request, data)
        self.log.observe(type, request, data)

    async def _recall_and_save(self, index: PastTraces) -> None:
        past = HealthHistory()
        self._since = await asyncio.to_thread(self._recall, past, index)
        known = past.dump()
        self.history.load(known["samples"], known["marks"], known["spans"])
        self.log.recall(self.history.marks)
        self.recalled.set()
        while True:
            await asyncio.sleep(SAVE_S)
            if self.keep:
                await self._save()

    def _recall(self, past: HealthHistory, index: PastTraces) -> float:
        """What the file knows, and of the time that it does not know the requests of the index."""
        known = None
        try:
            known = read_health(self._path, past, now=self._started)
        except HealthFileDamaged as error:
            _log.warning("%s cannot be read (%s); a new one begins", self._path, error)
        since, until = (known.since, known.until) if known is not None else (self._started, self._started)
        asked = (self._started - WEEK_S, self._started, since, until, _MOST_TRACES)
        rows: list[tuple[object, ...]] = []
        try:
            rows = index.select(_OF_INDEX, asked)
        except sqlite3.Error as error:
            _log.warning("the requests before this start are not known to Health (%s)", error)
        for row in reversed(rows):
            time, took, ttft, session, failed, out, request = row
            start = float(time)  # type: ignore[arg-type]
            end = min(self._started, start + float(took or 0.0))  # type: ignore[arg-type]
            first = min(end, start + float(ttft or 0.0))  # type: ignore[arg-type]
            tokens = int(out or 0)  # type: ignore[call-overload]
            past.samples.add_tokens(first, end, tokens)
            past.add_span(
                Span(start, max(start, end), str(session), 1, int(bool(failed)), str(request), tokens)
            )
        past.spans = type(past.spans)(sorted(past.spans, key=lambda span: span.start))
        if past.marks and past.marks[-1].detail == UNCLOSED:  # requests may have ended since the last save
            seen = max([past.marks[-1].time, *(span.end for span in past.spans)])
            past.marks[-1] = replace(past.marks[-1], time=seen)
        return min(since, past.spans[0].start) if past.spans else since

    async def _save(self) -> None:
        dumped = self.history.dump()  # here: in the thread it would change meanwhile
        try:
            await asyncio.to_thread(write_health, self._path, dumped, since=self._since, now=self._clock())
            self._failing = False
        except OSError as error:
            if not self._failing:
                _log.warning(
                    "%s cannot be written (%s); Health will not know of now after a restart",
                    self._path,
                    error.strerror or error,
                )
            self._failing = True

    async def _watch_disk(self, traces: Callable[[], tuple[int, int]]) -> None:
        turn = 0
        counted = (0, 0)
        while True:
            with contextlib.suppress(OSError):
                free = (await asyncio.to_thread(shutil.disk_usage, self._home)).free
                if counted[0] < MANY_TRACES or turn % COUNT_TIMES == 0:
                    counted = await asyncio.to_thread(traces)
                number, why = self._unwritten
                self._tell(
                    HostDisk(
                        free_bytes=free,
                        traces_bytes=counted[1],
                        traces=counted[0],
                        unwritten=number,
                        refusal=why,
                    )
                )
            turn += 1
            timer = asyncio.get_running_loop().call_later(DISK_S, self._look.set)
            try:
                await self._look.wait()
            finally:
                timer.cancel()
            self._look.clear()

    def _tell(self, disk: HostDisk) -> None:
        before, self.disk = self.disk, disk
        if (
            before is None
            or abs(before.free_bytes - disk.free_bytes) >= _DISK_STEP
            or before.traces != disk.traces
            or before.unwritten != disk.unwritten
        ):
            self._bus.publish("host.disk", disk)
