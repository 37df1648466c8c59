"""Which failed requests their client repeated, and with what end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tui.client.loaded_rows import LoadedRows
from tui.screen.trace_list.columns import phase_of

if TYPE_CHECKING:
    from proxy.traces.schema import TraceSummary
    from tui.client.records import RequestPhase, RequestSnapshot


def note_repeats(
    repeats: dict[str, tuple[float, RequestPhase]],
    page: Sequence[TraceSummary],
    rows: LoadedRows,
    followed: Iterable[RequestSnapshot] = (),
) -> bool:
    """Add which failures the rows of a page and the requests that are `followed` repeat; whether that is new.

    The last of several repeats counts, for all before it. Where a filter leaves it out, as `is:failed` does,
    it is known from the requests, or from pages before.
    """
    known = dict(repeats)
    repeats.update({one.id: one.repeat for one in followed if one.repeat is not None})
    for row in reversed(page):
        failed, seen = row.retry_of, {row.id}
        end = repeats.get(row.id, (row.time, phase_of(row)))
        while failed and failed not in seen:
            seen.add(failed)
            repeats[failed] = end
            place = rows.place_of(failed)
            before = rows[place] if place is not None else None
            failed = before.retry_of if before is not None else ""
    return known != repeats
