"""The tool calls of the chosen requests, newest first, and how each tool has fared in them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from proxy.events.totals import INVALID_VERDICTS
from proxy.traces.analysis.groups import quantile
from proxy.traces.listing.filter_sql import SqlFilter
from proxy.traces.listing.list_page import add_functions

_REFUSED = ", ".join(f"'{verdict}'" for verdict in sorted(INVALID_VERDICTS))
_CALLS = (
    "(SELECT id AS request, time FROM traces WHERE {where}) AS chosen CROSS JOIN calls ON trace = request"
)
_ROWS = """
SELECT page.trace, page.number, page.id, page.time, requests.session, requests.lane, page.name, page.about,
       page.file, page.verdict, page.repairs, page.error, page.duration, page.result, page.result_bytes,
       page.held
FROM (SELECT calls.*, chosen.time AS time FROM {calls} WHERE {also}
      ORDER BY chosen.time DESC, request DESC, number DESC LIMIT ? OFFSET ?) AS page
JOIN requests ON requests.id = page.trace ORDER BY page.time DESC, page.trace DESC, page.number DESC
"""
_TOOLS = f"""
SELECT name, count(*), sum(verdict IN ({_REFUSED})), sum(repairs > 0 AND verdict NOT IN ({_REFUSED})),
       count(error), total(error), group_concat(duration)
FROM {{calls}} GROUP BY name ORDER BY 2 DESC, name
"""


@dataclass(frozen=True, slots=True)
class ListedCall:
    """One tool call; `number` counts from 1 in its answer, the time in epoch seconds is its request's."""

    trace: str
    number: int
    id: str
    time: float
    session: str
    lane: str
    name: str
    about: str  # one line: the argument that says most
    file: str  # that it names; empty: none
    verdict: str
    repairs: int
    is_error: bool | None  # None: without a result yet
    duration_s: float | None
    result: str  # one line: how it begins
    result_bytes: int
    held: str = ""  # while it was written, by a "grammar" or a "relaxed" one; empty: by none

    def __post_init__(self) -> None:
        if self.is_error is not None:  # SQLite has numbers
            object.__setattr__(self, "is_error", bool(self.is_error))


@dataclass(frozen=True, slots=True)
class ToolFigures:
    """How one tool has fared; durations are as the client measured them, None where it did not."""

    name: str
    calls: int
    refused: int
    repaired: int
    results: int
    errors: int
    p50_s: float | None
    p95_s: float | None


@dataclass(frozen=True, slots=True)
class CallPage:
    """Calls, newest first, how many there are in all, and the figures of each tool, the most used first.

    Only `calls` and `total` leave out what did not fail where that is asked for.
    """

    calls: list[ListedCall]
    total: int
    tools: list[ToolFigures]


def calls_page(
    db: sqlite3.Connection, wanted: SqlFilter, *, limit: int, offset: int, failed: bool
) -> CallPage:
    """Calls of the requests that fit.

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    add_functions(db, wanted)
    calls = _CALLS.format(where=wanted.where)
    also = "calls.error = 1" if failed else "1"
    rows = db.execute(_ROWS.format(calls=calls, also=also), (*wanted.parameters, limit, offset)).fetchall()
    counted = db.execute(f"SELECT count(*) FROM {calls} WHERE {also}", wanted.parameters).fetchone()
    tools = db.execute(_TOOLS.format(calls=calls), wanted.parameters).fetchall()
    return CallPage([ListedCall(*row) for row in rows], counted[0], [_figures(*row) for row in tools])


def _figures(
    name: str, calls: int, refused: int, repaired: int, results: int, errors: float, durations: str | None
) -> ToolFigures:
    ordered = sorted(map(float, durations.split(","))) if durations else []
    middle, high = (quantile(ordered, share) if ordered else None for share in (0.5, 0.95))
    return ToolFigures(name, calls, refused, repaired, results, int(errors), middle, high)
