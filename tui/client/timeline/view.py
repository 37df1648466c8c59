"""The time that a timeline shows: a range, its end, the moment at the cursor, and what is in each cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from proxy.timeline.health_history import HealthHistory, Span, StateMark
from tui.client.records import Snapshot

RANGES: tuple[tuple[float, str], ...] = (
    (120.0, "2 minutes"),
    (300.0, "5 minutes"),
    (900.0, "15 minutes"),
    (1800.0, "30 minutes"),
    (7200.0, "2 hours"),
    (28_800.0, "8 hours"),
    (86_400.0, "24 hours"),
    (604_800.0, "7 days"),
)
FIRST_RANGE = 3
# The state that a cell shows where there were several: the worst.
_WORST = (
    "failed", "exited", "refused", "stalled", "restarting", "starting", "loading", "ready", "connects",
    "stopped", "host", "off", "",
)  # fmt: skip
_RANK = {state: rank for rank, state in enumerate(_WORST)}


@dataclass(frozen=True, slots=True)
class TimelineView:
    """What part of the time is shown; `end` and `cursor` are None where they go on with the clock."""

    range: int = FIRST_RANGE
    end: float | None = None
    cursor: float | None = None

    @property
    def range_s(self) -> float:
        """Seconds from the left edge to the right one."""
        return RANGES[self.range][0]

    def axis(self, now: float, cells: int) -> Axis:
        """The cells as they are at `now`."""
        step = self.range_s / max(1, cells)
        end = now if self.end is None else min(self.end, now)
        last = math.floor(end / step)  # by the clock, not by the moment: cells do not flow
        return Axis((last - cells + 1) * step, step, cells, now)

    def fitted(self, known_s: float) -> TimelineView:
        """Up to now the shortest range that holds so many seconds, and none beyond the usual one."""
        if self.end is not None or self.cursor is not None:
            return self
        return replace(
            self, range=next((at for at in range(FIRST_RANGE) if RANGES[at][0] >= known_s), FIRST_RANGE)
        )

    def scaled(self, steps: int, now: float) -> TimelineView:
        """A shorter (+) or longer (-) range; the moment at the cursor stays in it."""
        place = min(len(RANGES) - 1, max(0, self.range - steps))
        end = None
        if self.cursor is not None and self.cursor < now - RANGES[place][0] * 0.9:
            end = self.cursor + RANGES[place][0] / 2
        return replace(self, range=place, end=end if end is None or end < now else None)

    def moved(self, steps: int, now: float, cells: int) -> TimelineView:
        """The cursor some cells further; beyond an edge the range moves half of itself."""
        axis = self.axis(now, cells)
        at = axis.place(self.cursor) if self.cursor is not None else axis.place(now)
        cursor = axis.moment((at if at is not None else cells - 1) + steps)
        if cursor >= now:
            return replace(self, end=None, cursor=None)
        return self.at(cursor, now, cells)

    def at(self, moment: float, now: float, cells: int) -> TimelineView:
        """The cursor at a moment, and the range moved where it is not in it."""
        if self.axis(now, cells).place(moment) is not None:
            return replace(self, cursor=moment)
        end = moment + self.range_s / 2
        return replace(self, cursor=moment, end=end if end < now else None)

    def live(self) -> TimelineView:
        """The same range up to now."""
        return replace(self, end=None, cursor=None)


@dataclass(frozen=True, slots=True)
class Axis:
    """`cells` cells of `step` seconds each from `start` on; `now` is where the known time ends."""

    start: float
    step: float
    cells: int
    now: float

    @property
    def end(self) -> float:
        """The right edge."""
        return self.start + self.step * self.cells

    def moment(self, place: int) -> float:
        """The middle of a cell."""
        return self.start + (place + 0.5) * self.step

    def place(self, moment: float) -> int | None:
        """The cell of a moment; None where it is in none."""
        place = math.floor((moment - self.start) / self.step)
        return place if 0 <= place < self.cells else None

    def part(self, start: float, end: float) -> range:
        """The cells that a time touches."""
        if end < self.start or start >= self.end:
            return range(0)
        first = max(0, math.floor((start - self.start) / self.step))
        return range(first, min(self.cells - 1, math.floor((end - self.start) / self.step)) + 1)


def state_cells(marks: Iterable[StateMark], axis: Axis) -> list[StateMark | None]:
    """The mark whose state each cell shows; None where nothing is known, or that is still to come."""
    found: list[StateMark | None] = [None] * axis.cells
    ordered = sorted(marks, key=lambda mark: mark.time)
    for number, mark in enumerate(ordered):
        until = ordered[number + 1].time if number + 1 < len(ordered) else axis.now
        for place in axis.part(mark.time, until):
            known = found[place]
            if known is None or _RANK.get(mark.state, 99) < _RANK.get(known.state, 99):
                found[place] = mark
    return found


@dataclass(frozen=True, slots=True)
class SessionRow:
    """The requests of one session, or of the `others` that have no row of their own."""

    session: str
    spans: tuple[Span, ...]
    running: bool = False
    others: int = 0
    repeated: int = 0  # of the failed ones, as far as this screen knows

    @property
    def requests(self) -> int:
        """How many requests these are."""
        return sum(span.requests for span in self.spans)


def session_rows(history: HealthHistory, snapshot: Snapshot, axis: Axis, most: int) -> list[SessionRow]:
    """The sessions whose requests ran in this time, those that ran last first; at most `most` rows."""
    by_session: dict[str, dict[str, Span]] = {}
    running: set[str] = set()
    for span in (*history.spans, *_spans(snapshot, axis.now)):
        if span.end >= axis.start and span.start < axis.end:
            by_session.setdefault(span.session, {})[span.request or str(span.start)] = span
    for record in snapshot.active:
        running.add(record.session)
    again = {one.id for one in snapshot.requests if one.phase == "failed" and one.repeat is not None}
    rows = [
        SessionRow(
            session,
            tuple(sorted(spans.values(), key=lambda one: one.start)),
            session in running,
            repeated=sum(span.request in again for span in spans.values()),
        )
        for session, spans in by_session.items()
    ]
    rows.sort(key=lambda row: (row.running, max(span.end for span in row.spans)), reverse=True)
    if len(rows) <= most or most < 1:
        return rows[: max(0, most)]
    rest = rows[most - 1 :]
    spans = tuple(span for row in rest for span in row.spans)
    repeated = sum(row.repeated for row in rest)
    return [*rows[: most - 1], SessionRow("", spans, any(row.running for row in rest), len(rest), repeated)]


def known_s(history: HealthHistory, snapshot: Snapshot, now: float) -> float:
    """How many seconds back something is known; infinitely many where nothing is."""
    times = [one.time for one in list(history.marks)[:1]] + [one.start for one in list(history.spans)[:1]]
    times += [one.received for one in snapshot.requests[:1]]
    return now - min(times, default=-math.inf)


def last_request(snapshot: Snapshot, history: HealthHistory, until: float) -> str:
    """The id of the last request that came by a moment and has ended; empty where none is known."""
    for record in reversed(snapshot.requests):
        if record.received <= until and record.ended is not None:
            return record.id
    return next((one.request for one in reversed(history.spans) if one.request and one.start <= until), "")


def _spans(snapshot: Snapshot, now: float) -> Iterable[Span]:
    """The requests that the screen knows itself, up to now."""
    for record in snapshot.requests:
        end = record.ended if record.ended is not None else now if record.active else record.updated
        failed = record.phase == "failed"
        yield Span(
            record.received,
            max(record.received, end),
            record.session,
            failed=int(failed),
            request=record.id,
            tokens=record.output_tokens,
        )


def cell_spans(spans: Sequence[Span], axis: Axis) -> str:
    """A character a cell: `▬` a request ran, `✗` one failed, ` ` none."""
    cells = [" "] * axis.cells
    for span in spans:
        for place in axis.part(span.start, span.end):
            cells[place] = "▬" if cells[place] == " " else cells[place]
    for span in spans:
        ended = axis.place(span.end)
        if span.failed and ended is not None:
            cells[ended] = "✗"
    return "".join(cells)
