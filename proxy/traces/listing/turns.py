"""The requests of a session around one of them, in its lane and of its agent: the turns before and after."""

from __future__ import annotations

from pydantic import BaseModel

from proxy.traces.index import TraceIndex
from proxy.traces.schema import Trace, TraceSummary

AROUND = 5  # turns on each side
_SOUGHT = 200  # requests on each side among which those of the same agent are looked for


class SessionTurns(BaseModel):
    """The turns around a request, oldest first; `place` is its own among them.

    `number` is its own of all `total` requests of the session in its lane, whichever agent's.
    """

    turns: list[TraceSummary]
    place: int
    number: int
    total: int


def turns_around(trace: Trace, index: TraceIndex) -> SessionTurns:
    """The turns around a trace; without a session it stands alone.

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    own = index.select("SELECT summary FROM summaries WHERE id = ?", (trace.id,))
    here = [TraceSummary.model_validate_json(row) for (row,) in own]
    if not trace.session or not here:
        return SessionTurns(turns=here, place=0, number=1, total=1)
    before, earlier = _side(trace, index, "<", "DESC")
    after, later = _side(trace, index, ">", "ASC")
    return SessionTurns(
        turns=[*before[::-1], *here, *after],
        place=len(before),
        number=earlier + 1,
        total=earlier + 1 + later,
    )


def _side(trace: Trace, index: TraceIndex, sign: str, order: str) -> tuple[list[TraceSummary], int]:
    """The nearest turns on one side, nearest first, and how many requests of the lane lie there."""
    where = f"session = ? AND lane = ? AND (time, id) {sign} (?, ?)"
    place: tuple[object, ...] = (trace.session.lower(), trace.lane, trace.time, trace.id)
    [(number,)] = index.select(f"SELECT count(*) FROM traces WHERE {where}", place)
    rows = index.select(
        f"SELECT summary FROM (SELECT id, time FROM traces WHERE {where}"
        f" ORDER BY time {order}, id {order} LIMIT ?) AS chosen"
        f" CROSS JOIN summaries ON summaries.id = chosen.id ORDER BY chosen.time {order}, chosen.id {order}",
        (*place, _SOUGHT if trace.agent else AROUND),
    )
    found = (TraceSummary.model_validate_json(row) for (row,) in rows)
    return [row for row in found if row.agent == trace.agent or not trace.agent][:AROUND], number
