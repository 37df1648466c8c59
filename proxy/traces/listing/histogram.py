"""How many traces came when: the strip above the list, from one grouped query."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from proxy.traces.listing.filter_sql import SqlFilter
from proxy.traces.listing.list_page import add_functions

_MINUTES = (1, 5, 10, 15, 30, 60, 120, 180, 240, 360, 480, 720)  # each divides a day
_DAYS = (1, 7, 28, 91, 364)
MOST_PARTS = 500
_LATEST = 100_000_000_000.0  # epoch seconds, in the year 5138: later ones are past what calendars count

# A quarter of an hour is in no time zone on both sides of midnight. The index by time has all that the first
# takes; for a filter each row is read, in the order in which they lie where that is nearly all of them.
_QUARTER_S, _MINUTE_S = 900, 60
_COUNTS = "SELECT CAST(time / {unit} AS INTEGER), count(*) FROM traces WHERE {where} GROUP BY 1"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Traces by parts of a stretch of time: the part n lies between the edges n and n + 1.

    The edges are epoch seconds, at full minutes, hours, days or weeks of this machine's zone. `found` counts
    those that fit the filter. `total` and `bytes` are of all traces, whatever the stretch.
    """

    edges: list[float]
    requests: list[int]
    found: list[int]
    total: int
    bytes: int


def histogram(
    db: sqlite3.Connection, wanted: SqlFilter, *, since: float, until: float, parts: int
) -> Histogram:
    """Count the traces from `since` (0: the oldest) to `until`, in at most so many parts (two or more).

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    add_functions(db, wanted)
    [(oldest,)] = db.execute("SELECT min(time) FROM traces").fetchall()
    [(total, size)] = db.execute("SELECT count(*), total(bytes) FROM traces").fetchall()
    until = min(until, _LATEST)
    begin = min(since or (until if oldest is None else oldest), until)
    edges = edges_of(begin, until, max(2, min(parts, MOST_PARTS)))
    requests = _counted(db, edges, "time BETWEEN ? AND ?", (begin, until))
    found = requests
    if wanted.where != "1":
        term = "time" if since else "+time"
        where = f"({wanted.where}) AND {term} BETWEEN ? AND ?"
        found = _counted(db, edges, where, (*wanted.parameters, begin, until))
    return Histogram(edges, requests, found, total, int(size))


def _counted(
    db: sqlite3.Connection, edges: list[float], where: str, parameters: tuple[object, ...]
) -> list[int]:
    counts = [0] * (len(edges) - 1)
    unit = _MINUTE_S if edges[1] - edges[0] < _QUARTER_S else _QUARTER_S
    for moment, count in db.execute(_COUNTS.format(unit=unit, where=where), parameters):
        part = bisect_right(edges, moment * unit) - 1
        counts[min(max(0, part), len(counts) - 1)] += count
    return counts


def edges_of(since: float, until: float, parts: int) -> list[float]:
    """The edges of the finest usual step that takes at most so many parts; the last is after `until`."""
    for minutes in _MINUTES:
        if (until - since) / (60.0 * minutes) <= parts - 1:
            return list(_steps(since, until, minutes=minutes))
    long = _DAYS[-1] * (1 + int((until - since) / (86_400.0 * _DAYS[-1] * (parts - 1))))
    days = next((days for days in _DAYS if (until - since) / (86_400.0 * days) <= parts - 1), long)
    return list(_steps(since, until, days=days))


def _steps(since: float, until: float, *, minutes: int = 0, days: int = 0) -> Iterator[float]:
    """Moments at which a clock on the wall shows full steps, also in days of 23 and 25 hours."""
    try:
        day = datetime.fromtimestamp(since).replace(hour=0, minute=0, second=0, microsecond=0)
        if days:
            day -= timedelta(days=day.weekday() if days % 7 == 0 else 0)
    except (ValueError, OverflowError, OSError):
        yield from (since, until)
        return
    step = timedelta(days=days, minutes=minutes)
    at, before = day, None
    while True:
        moment = at.timestamp()
        following = (at + step).timestamp()
        if following > since and (before is None or moment > before):
            yield moment
            before = moment
            if moment > until:
                return
        at += step
