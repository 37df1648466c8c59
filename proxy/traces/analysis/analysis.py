"""What the traces say together: sums by backend, model, session, lane and day, misses, tools, the slowest."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from proxy.traces.analysis.prices import PriceTable
from proxy.traces.analysis.sums import ALL, EVERY, Choice, RequestSums, conditions, request_sums
from proxy.traces.index import TraceIndex

SLOWEST = 5

# Beside max() SQLite takes the other columns from the row that has the maximum.
_MISSES = """
SELECT reason, cause, segment, count(*), sum(tokens), max(tokens), trace, position, before, now
FROM misses {join} WHERE {where} GROUP BY reason, cause, segment
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
class MissGroup:
    """Prompts that could reuse less, for one cause at one place; the texts are of the costliest of them."""

    reason: str
    cause: str  # of what was evicted: `engine.wire.misses.EvictionCause`; empty: not known, or nothing was
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
class Analysis(RequestSums):
    """Sums of requests, and what only their traces tell."""

    misses: list[MissGroup]
    tools: list[ToolGroup]
    slowest: list[SlowRequest]


def analyze(index: TraceIndex, choice: Choice = ALL, prices: PriceTable | None = None) -> Analysis:
    """Everything at once, from the index alone.

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    sums = request_sums(index, choice, prices)
    where, parameters, _ = conditions(index, choice)
    return Analysis(
        **{field.name: getattr(sums, field.name) for field in fields(sums)},
        misses=_misses(index, where, parameters),
        tools=[ToolGroup(*row) for row in _select(index, _TOOLS, where, parameters)],
        slowest=[SlowRequest(*row) for row in index.select(_SLOWEST.format(where=where), parameters)],
    )


def _misses(index: TraceIndex, where: str, parameters: tuple[object, ...]) -> list[MissGroup]:
    """By cause and kind of place: `message 12` and `message 14` are one kind."""
    found: dict[tuple[str, str, str], list[tuple[Any, ...]]] = {}
    for row in _select(index, _MISSES, where, parameters):
        reason, cause, segment = row[:3]
        found.setdefault((reason, cause, re.sub(r"\s*\d+", "", segment)), []).append(row[3:])
    groups = []
    for kind, rows in found.items():
        worst = max(rows, key=lambda row: row[2])
        requests, tokens = sum(row[0] for row in rows), sum(row[1] for row in rows)
        groups.append(MissGroup(*kind, requests, tokens, *worst[3:]))
    return sorted(groups, key=lambda one: -one.tokens)


def _select(
    index: TraceIndex, statement: str, where: str, parameters: tuple[object, ...]
) -> list[tuple[Any, ...]]:
    join = "JOIN requests ON requests.id = trace" if where != EVERY else ""
    return index.select(statement.format(join=join, where=where), parameters)
