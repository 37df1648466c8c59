"""One page of the list of traces: its rows, and how many fit in all, in as few passes as it takes."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from proxy.traces.listing.filter_sql import SqlFilter

EVERY = (float("inf"), "")  # the place before the newest trace


@dataclass(frozen=True, slots=True)
class Asked:
    """Which page: at most `limit` rows older than `place` (time, id), the first `offset` of them skipped."""

    limit: int
    place: tuple[float, str] = EVERY
    offset: int = 0


def list_page(db: sqlite3.Connection, wanted: SqlFilter, asked: Asked) -> tuple[list[str], int]:
    """Summaries as JSON, newest first, and the count of all that fit.

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    for name, function in wanted.functions.items():
        db.create_function(name, 1, function, deterministic=True)
    if asked.place == EVERY and asked.offset == 0:
        rows = _summaries(db, wanted, asked.place, asked.limit, 0)
        return rows, len(rows) if len(rows) < asked.limit else _count(db, wanted)
    total = _count(db, wanted)
    if asked.place == EVERY and asked.offset > total // 2:
        return _from_the_end(db, wanted, asked, total), total
    return _summaries(db, wanted, asked.place, asked.limit, asked.offset), total


def _count(db: sqlite3.Connection, wanted: SqlFilter) -> int:
    found = db.execute(f"SELECT count(*) FROM traces WHERE {wanted.where}", wanted.parameters).fetchone()
    total: int = found[0]
    return total


def _from_the_end(db: sqlite3.Connection, wanted: SqlFilter, asked: Asked, total: int) -> list[str]:
    """A page of the older half: there are fewer rows to skip from the other side."""
    end = max(0, total - asked.offset - asked.limit)
    limit = max(0, min(asked.limit, total - asked.offset))
    return _summaries(db, wanted, asked.place, limit, end, order="ASC")[::-1]


def _summaries(
    db: sqlite3.Connection,
    wanted: SqlFilter,
    place: tuple[float, str],
    limit: int,
    offset: int,
    order: str = "DESC",
) -> list[str]:
    rows = db.execute(
        # Summaries of the chosen rows only: what is skipped costs a step in the index by time.
        "SELECT summary FROM"
        f" (SELECT id, time FROM traces WHERE ({wanted.where}) AND (time, id) < (?, ?)"
        f" ORDER BY time {order}, id {order} LIMIT ? OFFSET ?) AS chosen"
        f" CROSS JOIN summaries ON summaries.id = chosen.id ORDER BY chosen.time {order}, chosen.id {order}",
        (*wanted.parameters, *place, limit, offset),
    ).fetchall()
    return [summary for (summary,) in rows]
