"""Requests of a table as sums: in all, and by backend, model, session, lane, day and hour.

The one way in which requests are counted: of the trace index, of the files of cache metrics, of a host's run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from proxy.traces.analysis.decode_speed import LONG_PREFILL
from proxy.traces.analysis.groups import Cell, Group, group, prefill_rates
from proxy.traces.analysis.prices import PriceTable

QUARTER_S = 900
EVERY = "1"  # as a condition

_KEY = f"backend, model, upstream, session, lane, CAST(time / {QUARTER_S} AS INTEGER)"
_LONG = f"input + created >= {LONG_PREFILL} AND prefill > 0"
_PROMPT = "input + created + read > 0"
_SUMS = f"""
SELECT {_KEY}, count(*), sum(failed), sum(cancelled), sum({_PROMPT}), sum(read > 0),
       sum(input), sum(created), sum(read), sum(output),
       sum(CASE WHEN {_LONG} THEN input + created ELSE 0 END), total(CASE WHEN {_LONG} THEN prefill END),
       total(restore), group_concat(CASE WHEN read > 0 THEN ttft END),
       group_concat(CASE WHEN read <= 0 AND {_PROMPT} THEN ttft END),
       group_concat(CASE WHEN NOT ({_PROMPT}) THEN ttft END), group_concat(speed)
FROM requests WHERE {{where}} GROUP BY 6, 1, 2, 3, 4, 5
"""
_MEASURED = f"""
SELECT backend, CASE upstream WHEN '' THEN model ELSE upstream END, sum(input + created), total(prefill)
FROM requests WHERE {{where}} AND {_LONG} GROUP BY 1, 2
"""


class Requests(Protocol):
    """What has a table `requests` with the columns `proxy.traces.analysis.facts.REQUEST_COLUMNS`."""

    def select(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement that only reads."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which requests count; `since` and `until` in epoch seconds, an empty text chooses all."""

    session: str = ""  # or its beginning
    backend: str = ""
    model: str = ""  # as it was asked for or as it was sent upstream
    lane: str = ""
    since: float = 0.0
    until: float = 0.0
    own: bool = False  # also what commands of this program asked: checks and replays

    def where(self) -> tuple[str, tuple[object, ...]]:
        """The condition on the index's table of requests, and its parameters."""
        parts: list[tuple[str, tuple[object, ...]]] = []
        if self.session:
            parts.append(("substr(session, 1, ?) = ?", (len(self.session), self.session)))
        if self.model:
            parts.append(("(model = ? OR upstream = ?)", (self.model, self.model)))
        for column, value in (("backend", self.backend), ("lane", self.lane)):
            if value:
                parts.append((f"{column} = ?", (value,)))
        if self.since:
            parts.append(("time >= ?", (self.since,)))
        if self.until:
            parts.append(("time < ?", (self.until,)))
        return " AND ".join([EVERY, *(part for part, _ in parts)]), tuple(p for _, ps in parts for p in ps)


ALL = Choice()


class ManyRequests(Requests, Protocol):
    """Requests whose rows can also be had one by one."""

    def each(self, statement: str, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement that only reads, while nothing else is asked."""


@dataclass(frozen=True, slots=True)
class RequestSums:
    """Groups are sorted by requests, days and hours by time, which is that of this machine's zone."""

    total: Group
    backends: list[Group]
    models: list[Group]
    sessions: list[Group]
    lanes: list[Group]
    days: list[Group]
    hours: list[Group]  # where all is within one day, else empty
    prefill_s_per_token: dict[str, float]  # by "backend model"
    priced: bool
    left_out: int  # requests of this program's own commands


def conditions(table: Requests, choice: Choice) -> tuple[str, tuple[object, ...], int]:
    """The condition on the table of requests, its parameters, and how many own requests it leaves out."""
    where, parameters = choice.where()
    if choice.own:
        return where, parameters, 0
    [(count,)] = table.select(f"SELECT count(*) FROM requests WHERE {where} AND own != ''", parameters)
    # Without any, nothing has to be joined for the condition.
    return f"{where} AND own = ''" if count else where, parameters, int(count)


def request_sums(table: Requests, choice: Choice = ALL, prices: PriceTable | None = None) -> RequestSums:
    """The sums of the chosen requests; one counts for the day on which it was received.

    Raises:
        sqlite3.Error: the table cannot be read.
    """
    prices = prices or PriceTable({})
    where, parameters, left_out = conditions(table, choice)
    cells = list(map(_cell, table.select(_SUMS.format(where=where), parameters)))
    rates = prefill_rates(
        (cell.backend, cell.answering, cell.measured_tokens, cell.measured_s) for cell in cells
    )

    def groups(name: Callable[[Cell], str], *, by_name: bool = False) -> list[Group]:
        found: dict[str, list[Cell]] = {}
        for cell in cells:
            found.setdefault(name(cell), []).append(cell)
        made = [group(key, part, rates, prices) for key, part in found.items()]
        return sorted(made, key=lambda one: (0 if by_name else -one.requests, one.name))

    days = groups(_day, by_name=True)
    return RequestSums(
        total=group("all", cells, rates, prices),
        backends=groups(lambda cell: cell.backend),
        models=groups(lambda cell: cell.answering),
        sessions=groups(lambda cell: cell.session),
        lanes=groups(lambda cell: cell.lane),
        days=days,
        hours=groups(lambda cell: _local(cell, "%H:00"), by_name=True) if len(days) == 1 else [],
        prefill_s_per_token={" ".join(key): rate for key, rate in rates.items()},
        priced=bool(prices),
        left_out=left_out,
    )


def day_sums(table: ManyRequests, prices: PriceTable | None = None) -> Iterator[Group]:
    """The days of `request_sums`, one after the other: of all years, with two days in memory.

    Raises:
        sqlite3.Error: the table cannot be read.
    """
    prices = prices or PriceTable({})
    where, parameters, _ = conditions(table, ALL)
    rates = prefill_rates(table.select(_MEASURED.format(where=where), parameters))
    days: dict[str, list[Cell]] = {}  # two, because at the end of summer time a day can come back for a while
    for row in table.each(_SUMS.format(where=where), parameters):
        cell = _cell(row)
        days.setdefault(_day(cell), []).append(cell)
        if len(days) > 2:
            first = min(days)
            yield group(first, days.pop(first), rates, prices)
    for day in sorted(days):
        yield group(day, days[day], rates, prices)


def _cell(row: tuple[Any, ...]) -> Cell:
    return Cell(*row[:18], *map(_numbers, row[18:]))


def _numbers(joined: str | None) -> list[float]:
    """What SQLite has put into one text, which takes a third of the time of a row each."""
    return list(map(float, joined.split(","))) if joined else []


def _day(cell: Cell) -> str:
    return _local(cell, "%Y-%m-%d")


def _local(cell: Cell, form: str) -> str:
    return datetime.fromtimestamp(cell.quarter * QUARTER_S).strftime(form)
