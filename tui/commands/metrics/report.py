"""Cache metrics as text: sums, a chart, a table. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from proxy.traces.analysis.groups import Group
from proxy.traces.analysis.sums import RequestSums
from tui.client.wire_text import hanging
from tui.commands.traces.analysis_report import (
    INDENT,
    LABEL_CELLS,
    MOST_GROUPS,
    chart,
    group_table,
    section,
    total_lines,
)

MOST_BARS = 31


def metrics_report(found: RequestSums, by: str, groups: Sequence[Group], *, zone: str, columns: int) -> str:
    """The sums, then what `by` names: the newest days, or the groups with most requests.

    `zone` is the one that the days are in.
    """
    room = max(46, columns - len(INDENT))
    texts = [*total_lines(found), *_days(found, zone)]
    lines = [line for text in texts for line in hanging(text, columns, LABEL_CELLS)]
    if by == "day":
        bars, rows = groups[-MOST_BARS:], groups[::-1]
    else:
        bars, rows = groups[:MOST_GROUPS], groups
    lines += section(f"tokens of prompts, by {by}", chart(bars, room))
    lines += section(f"by {by}", group_table(rows, room, priced=found.priced))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _days(found: RequestSums, zone: str) -> Iterator[str]:
    first, last = found.days[0].name, found.days[-1].name
    span = first if first == last else f"{first} to {last}"
    yield f"days       {span}, of this machine's time zone, which is {zone} now"
