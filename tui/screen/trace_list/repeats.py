"""Which failed requests their client repeated, and with what end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tui.client.loaded_rows import LoadedRows
from tui.screen.trace_list.columns import phase_of

if TYPE_CHECKING:
    from proxy.traces.schema import TraceSummary
    from tui.client.records import RequestPhase


def note_repeats(
    repeats: dict[str, tuple[float, RequestPhase]], page: Sequence[TraceSummary], rows: LoadedRows
) -> bool:
    """Add which failures the rows of a page repeat; whether that tells anything new.

    The last of several repeats counts, for all before it.
    """
    known = dict(repeats)
    for row in reversed(page):
        failed, seen = row.retry_of, {row.id}
        while failed and failed not in seen:
            seen.add(failed)
            repeats[failed] = (row.time, phase_of(row))
            place = rows.place_of(failed)
            before = rows[place] if place is not None else None
            failed = before.retry_of if before is not None else ""
    return known != repeats
