"""What the traces say together: sums by backend, model, session, lane and day, misses, tools, the slowest."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proxy.traces.analysis.groups import Cell, Group, group, prefill_rates
from proxy.traces.analysis.prices import PriceTable
from proxy.traces.index import TraceIndex

SLOWEST = 5
LONG_PREFILL = 512  # tokens from which on the fixed cost of a prefill does not distort its speed
QUARTER_S = 900

_KEY = f"backend, model, upstream, session, lane, CAST(time / {QUARTER_S} AS INTEGER)"
_LONG = f"input + created >= {LONG_PREFILL} AND prefill > 0"
_SUMS = f"""
SELECT {_KEY}, count(*), sum(failed), sum(cancelled), sum(input + created + read > 0), sum(read > 0),
       sum(input), sum(created), sum(read), sum(output),
       sum(CASE WHEN {_LONG} THEN input + created ELSE 0 END), total(CASE WHEN {_LONG} THEN prefill END),
       total(restore), group_concat(ttft), group_concat(speed)
FROM requests WHERE {{where}} GROUP BY 1, 2, 3, 4, 5, 6
"""
# Beside max() SQLite takes the other columns from the row that has the maximum.
_MISSES = """
SELECT reason, segment, count(*), sum(tokens), max(tokens), trace, position, before, now
FROM misses {join} WHERE {where} GROUP BY reason, segment
"""
_USABLE = "verdict IN ('valid', 'unchecked')"
_TOOLS = f"""
SELECT name, count(*), sum({_USABLE} AND repairs = 0), sum({_USABLE} AND repairs > 0), sum(verdict = 'cut'),
       sum(NOT {_USABLE} AND verdict != 'cut'), sum(error IS NOT NULL), sum(coalesce(error, 0)),
       avg(calls.duration)
FROM calls {{join}} WHERE {{where}} GROUP BY name ORDER BY 2 DESC, name
"""
_SLOWEST = f"""
SELECT id, time, lane, session, coalesce(nullif(upstream, ''), model), duration, ttft, input + created + read,
       read, output
FROM requests WHERE duration IS NOT NULL AND {{where}} ORDER BY duration DESC LIMIT {SLOWEST}
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which requests count; `since` and `until` in epoch seconds, an empty text chooses all."""

    session: str = ""  # or its beginning
    backend: str = ""
    model: str = ""  # as it was asked for or as it was sent upstream
    lane: str = ""
    since: float = 0.0
    until: float = 0.0

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
        return " AND ".join(["1", *(part for part, _ in parts)]), tuple(p for _, ps in parts for p in ps)


@dataclass(frozen=True, slots=True)
class MissGroup:
    """Prompts that could reuse less, for one cause at one place; the texts are of the costliest of them."""

    reason: str
    segment: str
    requests: int
    tokens: int  # that were computed because of it
    trace: str
    position: int  # in tokens
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class ToolGroup:
    """The calls of one tool: what became of the model's text, and what the client made of the call."""

    name: str
    calls: int
    valid: int
    repaired: int
    truncated: int
    as_text: int
    results: int
    errors: int
    mean_s: float | None


@dataclass(frozen=True, slots=True)
class SlowRequest:
    id: str
    time: float
    lane: str
    session: str
    model: str
    duration_s: float
    ttft_s: float | None
    prompt: int
    read: int
    output: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """Groups are sorted by requests, days and hours by time; `prefill_s_per_token` by "backend model"."""

    total: Group
    backends: list[Group]
    models: list[Group]
    sessions: list[Group]
    lanes: list[Group]
    days: list[Group]
    hours: list[Group]  # where all is within one day, else empty
    misses: list[MissGroup]
    tools: list[ToolGroup]
    slowest: list[SlowRequest]
    prefill_s_per_token: dict[str, float]
    priced: bool


def analyze(index: TraceIndex, choice: Choice = Choice(), prices: PriceTable | None = None) -> Analysis:
    """Everything at once, from the index alone.

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    prices = prices or PriceTable({})
    where, parameters = choice.where()
    cells = _cells(index, where, parameters)
    rates = prefill_rates(cells)

    def groups(name: Callable[[Cell], str], *, by_name: bool = False) -> list[Group]:
        found: dict[str, list[Cell]] = {}
        for cell in cells:
            found.setdefault(name(cell), []).append(cell)
        made = [group(key, part, rates, prices) for key, part in found.items()]
        return sorted(made, key=lambda one: (0 if by_name else -one.requests, one.name))

    days = groups(lambda cell: _local(cell, "%Y-%m-%d"), by_name=True)
    return Analysis(
        total=group("all", cells, rates, prices),
        backends=groups(lambda cell: cell.backend),
        models=groups(lambda cell: cell.answering),
        sessions=groups(lambda cell: cell.session),
        lanes=groups(lambda cell: cell.lane),
        days=days,
        hours=groups(lambda cell: _local(cell, "%H:00"), by_name=True) if len(days) == 1 else [],
        misses=_misses(index, where, parameters),
        tools=[ToolGroup(*row) for row in _select(index, _TOOLS, where, parameters)],
        slowest=[SlowRequest(*row) for row in index.select(_SLOWEST.format(where=where), parameters)],
        prefill_s_per_token={" ".join(key): rate for key, rate in rates.items()},
        priced=bool(prices),
    )


def _cells(index: TraceIndex, where: str, parameters: tuple[object, ...]) -> list[Cell]:
    rows = index.select(_SUMS.format(where=where), parameters)
    return [Cell(*row[:18], *map(_numbers, row[18:])) for row in rows]


def _numbers(joined: str | None) -> list[float]:
    """What SQLite has put into one text, which takes a third of the time of a row each."""
    return sorted(map(float, joined.split(","))) if joined else []


def _misses(index: TraceIndex, where: str, parameters: tuple[object, ...]) -> list[MissGroup]:
    """By cause and kind of place: `message 12` and `message 14` are one kind."""
    found: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for row in _select(index, _MISSES, where, parameters):
        found.setdefault((row[0], re.sub(r"\s*\d+", "", row[1])), []).append(row)
    groups = []
    for (reason, segment), rows in found.items():
        worst = max(rows, key=lambda row: row[4])
        requests, tokens = sum(row[2] for row in rows), sum(row[3] for row in rows)
        groups.append(MissGroup(reason, segment, requests, tokens, *worst[5:]))
    return sorted(groups, key=lambda one: -one.tokens)


def _select(
    index: TraceIndex, statement: str, where: str, parameters: tuple[object, ...]
) -> list[tuple[Any, ...]]:
    join = "JOIN requests ON requests.id = trace" if parameters else ""
    return index.select(statement.format(join=join, where=where), parameters)


def _local(cell: Cell, form: str) -> str:
    return datetime.fromtimestamp(cell.quarter * QUARTER_S).strftime(form)
