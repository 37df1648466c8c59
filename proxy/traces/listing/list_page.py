"""One page of the list of traces: its rows, and how many fit in all, in as few passes as it takes."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from proxy.traces.listing.filter_sql import SqlFilter
from proxy.traces.listing.order import BY_TIME, Order

EVERY = (float("inf"), "")  # the place before the newest trace


@dataclass(frozen=True, slots=True)
class Asked:
    """Which page: at most `limit` rows older than `place` (time, id), the first `offset` of them skipped."""

    limit: int
    place: tuple[float, str] = EVERY
    offset: int = 0
    order: Order = BY_TIME


def list_page(db: sqlite3.Connection, wanted: SqlFilter, asked: Asked) -> tuple[list[str], int]:
    """Summaries as JSON, in the order that is asked for, and the count of all that fit.

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    add_functions(db, wanted)
    if asked.place == EVERY and asked.offset == 0:
        rows = _summaries(db, wanted, asked)
        return rows, len(rows) if len(rows) < asked.limit else _count(db, wanted)
    total = _count(db, wanted)
    if asked.place == EVERY and asked.offset > total // 2:
        return _from_the_end(db, wanted, asked, total), total
    return _summaries(db, wanted, asked), total


def place_in_list(db: sqlite3.Connection, wanted: SqlFilter, order: Order, at: str | float) -> int | None:
    """How many rows stand before a trace (by its id), or before the one of a moment.

    A moment's is the newest that had come by then, or the oldest of all where none had; None: no row fits.

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    add_functions(db, wanted)
    if isinstance(at, float) and order.by == BY_TIME.by:
        statement = f"SELECT count(*), total(time > ?) FROM traces WHERE {wanted.where}"
        [(total, newer)] = db.execute(statement, (at, *wanted.parameters)).fetchall()
        before = total - newer - 1 if order.reverse else min(newer, total - 1)
        return max(0, int(before)) if total else None
    row = _row_of(db, wanted, order, at)
    if row is None:
        return None
    condition, parameters = order.before(row)
    return _count(db, wanted, condition, parameters, _source(wanted, order))


def _row_of(db: sqlite3.Connection, wanted: SqlFilter, order: Order, at: str | float) -> Any:
    chosen = f"SELECT {order.column}, time, id FROM traces WHERE ({wanted.where}) AND"
    if isinstance(at, str):
        return db.execute(f"{chosen} id = ?", (*wanted.parameters, at)).fetchone()
    for condition, way in (("time <= ?", "DESC"), ("time > ?", "ASC")):
        asked = f"{chosen} {condition} ORDER BY time {way}, id {way} LIMIT 1"
        if row := db.execute(asked, (*wanted.parameters, at)).fetchone():
            return row
    return None


def add_functions(db: sqlite3.Connection, wanted: SqlFilter) -> None:
    """Let a filter's condition call what it is made of."""
    for name, function in wanted.functions.items():
        db.create_function(name, 1, function, deterministic=True)


def _source(wanted: SqlFilter, order: Order) -> str:
    """The table, or the index that has all figures and no more: a tenth to read, if nothing is filtered."""
    narrow = wanted.where == "1" and order.by != BY_TIME.by
    return "traces INDEXED BY traces_by_figures" if narrow else "traces"


def _count(
    db: sqlite3.Connection,
    wanted: SqlFilter,
    also: str = "1",
    parameters: tuple[object, ...] = (),
    source: str = "traces",
) -> int:
    statement = f"SELECT count(*) FROM {source} WHERE ({wanted.where}) AND {also}"
    found = db.execute(statement, (*wanted.parameters, *parameters)).fetchone()
    total: int = found[0]
    return total


def _from_the_end(db: sqlite3.Connection, wanted: SqlFilter, asked: Asked, total: int) -> list[str]:
    """A page of the list's second half: there are fewer rows to skip from the other side."""
    end = max(0, total - asked.offset - asked.limit)
    limit = max(0, min(asked.limit, total - asked.offset))
    return _summaries(db, wanted, Asked(limit, asked.place, end, asked.order), backwards=True)[::-1]


def _summaries(
    db: sqlite3.Connection, wanted: SqlFilter, asked: Asked, *, backwards: bool = False
) -> list[str]:
    terms = asked.order.terms(backwards=backwards)
    source, where, parameters = "traces", f"({wanted.where})", list(wanted.parameters)
    if asked.place != EVERY:
        where, parameters = f"{where} AND (time, id) < (?, ?)", [*parameters, *asked.place]
    else:
        source = _source(wanted, asked.order)
    rows = db.execute(
        # Summaries of the chosen rows only: what is skipped costs a step in an index.
        "SELECT summary FROM (SELECT id, row_number() OVER () AS number FROM"
        f" (SELECT id FROM {source} WHERE {where} ORDER BY {terms} LIMIT ? OFFSET ?)) AS chosen"
        " CROSS JOIN summaries ON summaries.id = chosen.id ORDER BY chosen.number",
        (*parameters, asked.limit, asked.offset),
    ).fetchall()
    return [summary for (summary,) in rows]
