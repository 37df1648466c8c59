"""Which request another one is compared with where none is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from proxy.traces.index import TraceIndex
    from proxy.traces.schema import Trace

LOOKED_AT = 8  # earlier requests whose prompts are compared
MOST_BYTES = 16 << 20  # of their traces together
NOTHING = "there is no other recorded request to compare it with"

# `before` in its session and lane; else of those of other sessions the most `alike`; else the `next` one.
Chosen = Literal["before", "alike", "next"]


class Comparable(NamedTuple):
    """The id of the other request, and how it was chosen."""

    id: str
    chosen: Chosen


def comparable(trace: Trace, index: TraceIndex, load: Callable[[str], Trace]) -> Comparable | None:
    """The request whose prompt says most about this one's; None: there is none. Blocks.

    That is the one before it in its session and lane. Before the first of a session stand those of others:
    of the last ones of its model and lane that one whose prompt begins most like it, the newest where several
    do.

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    if before := request_before(trace, index):
        return Comparable(before, "before")
    if alike := _alike(trace, index, load):
        return Comparable(alike, "alike")
    after = index.select(
        "SELECT id FROM traces WHERE session = ? AND lane = ? AND (time, id) > (?, ?) AND prompt IS NOT NULL"
        " AND session != '' ORDER BY time, id LIMIT 1",
        (trace.session.lower(), trace.lane, trace.time, trace.id),
    )
    return Comparable(after[0][0], "next") if after else None


def request_before(trace: Trace, index: TraceIndex) -> str | None:
    """The id of the request before it in its session and lane, that was counted; None: there is none.

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    if not trace.session:
        return None
    rows = index.select(
        "SELECT id FROM traces WHERE session = ? AND lane = ? AND (time, id) < (?, ?) AND prompt IS NOT NULL"
        " ORDER BY time DESC, id DESC LIMIT 1",
        (trace.session.lower(), trace.lane, trace.time, trace.id),
    )
    return rows[0][0] if rows else None


def _alike(trace: Trace, index: TraceIndex, load: Callable[[str], Trace]) -> str:
    from proxy.traces.analysis.comparing.diff import diff
    from proxy.traces.reading import TraceNotFound, TraceUnreadable

    # What the client calls the model may differ where the upstream has one.
    column, model = ("upstream", trace.upstream_model) if trace.upstream_model else ("model", trace.model)
    rows = index.select(
        f"SELECT id, bytes FROM traces WHERE {column} = ? AND lane = ? AND (time, id) < (?, ?)"
        " AND prompt IS NOT NULL ORDER BY time DESC, id DESC LIMIT ?",
        (model.lower(), trace.lane, trace.time, trace.id, LOOKED_AT),
    )
    best, most, room = "", -1, MOST_BYTES
    for id, nbytes in rows:
        room -= nbytes
        if room < 0 and best:
            break
        try:
            shared = diff(load(id), trace).shared
        except (TraceNotFound, TraceUnreadable):
            continue
        if shared > most:
            best, most = id, shared
    return best
