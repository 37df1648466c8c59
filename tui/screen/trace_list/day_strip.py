"""The strip above the list of traces: how many came when, where matches are, where the cursor is. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tui.client.figures import plural, size
from tui.client.loaded_rows import PAGE
from tui.screen.charts import BLOCKS
from tui.screen.keymap import key_of
from tui.screen.styled_line import Line, fit
from tui.screen.widgets.line_table import LineTable

if TYPE_CHECKING:
    from proxy.traces.listing.histogram import Histogram
    from proxy.traces.schema import TraceSummary

INDENT = 4
_WORDS_CELLS = 34  # right of the bars, where there is room
_WORDS_FROM = 96  # columns
_DAY_S, _MOST_CELLS = 86_400.0, 4
# Distances of times within a day, of which the shortest with room between two of them is taken.
_TIMES_S = (60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_TIME_CELLS = 8
FOUND, HERE, FOUND_HERE = "●", "▲", "◉"


@dataclass(frozen=True, slots=True)
class Strip:
    """What the strip shows; `found` is None where no filter is set, `here` the time of the selected row."""

    counts: Histogram
    found: Sequence[int] | None = None
    here: float | None = None


def parts_in(columns: int) -> int:
    """Into how many parts the time is best divided on a screen of so many columns."""
    return max(12, _room(columns) * 3 // 4)  # days have a gap between them


def _room(columns: int) -> int:
    return columns - 2 * INDENT - (_WORDS_CELLS if columns >= _WORDS_FROM else 0)


def found_in(edges: Sequence[float], times: Sequence[float]) -> list[int]:
    """How many of these moments lie in each part."""
    counts = [0] * max(0, len(edges) - 1)
    for moment in times:
        place = bisect_right(edges, moment) - 1
        if 0 <= place < len(counts):
            counts[place] += 1
    return counts


def strip_of(counts: Histogram, table: LineTable[TraceSummary], *, filtered: bool) -> Strip:
    """The strip above a list. Where all that fit are loaded, where they are is known without the host."""
    found = counts.found if filtered else None
    if filtered and len(table.rows) <= PAGE:
        found = found_in(counts.edges, [one.time for one in table.rows if one is not None])
    here = table.selected
    return Strip(counts, found, here.time if here is not None else None)


def day_strip(strip: Strip, columns: int, rows: int) -> list[Line]:
    """Names of days, bars, and marks below them."""
    counts = strip.counts
    if len(counts.edges) < 2 or not counts.total:
        return []
    places, cells = _places(counts.edges, _room(columns))
    shown = [place for place in range(len(places)) if places[place] + cells <= _room(columns)]
    lines = [_names(counts.edges, places, _room(columns)), _bars(strip, places, cells, shown), []]
    lines[2] = _marks(strip, places, cells)
    lines = [[(" " * INDENT, ""), *line] for line in lines]
    if columns >= _WORDS_FROM:
        room = columns - _WORDS_CELLS
        lines = [[*fit(line, room), *words] for line, words in zip(lines, _words(strip), strict=True)]
    return lines[:rows]


def _places(edges: Sequence[float], room: int) -> tuple[list[int], int]:
    """The cell at which each part begins, with a gap between days, and how many cells a part has."""
    number = len(edges) - 1
    gaps = [place for place in range(1, number) if _begins_day(edges, place)]
    cells = max(1, min(_MOST_CELLS, (room - len(gaps)) // max(1, number)))
    if number * cells + len(gaps) > room:
        gaps = []
    places, at = [], 0
    for place in range(number):
        at += place in gaps
        places.append(at)
        at += cells
    return places, cells


def _begins_day(edges: Sequence[float], place: int) -> bool:
    if edges[1] - edges[0] >= _DAY_S * 0.9:
        return False
    at = _local(edges[place])
    return at is not None and at.hour == 0 and at.minute == 0


def _names(edges: Sequence[float], places: Sequence[int], room: int) -> Line:
    step, span = edges[1] - edges[0], edges[-1] - edges[0]
    each = (places[-1] - places[0]) / max(1, len(places) - 1) or 1  # cells
    hours = next((time for time in _TIMES_S if time % step == 0 and time / step * each >= _TIME_CELLS), 0.0)
    text = ""  # of plain characters: each is a cell
    for place, cell in enumerate(places):
        if cell < len(text) + bool(text):
            continue
        name = _hour(edges, place, hours) if span <= 1.2 * _DAY_S else _name(edges, place, step, span)
        if name and cell + len(name) <= room:
            text += " " * (cell - len(text)) + name
    return [(text, "muted")]


def _hour(edges: Sequence[float], place: int, distance: float) -> str:
    """Within a day or so: the day where the strip or another day begins, and times at full `distance`s."""
    at = _local(edges[place])
    if at is None:
        return ""
    if place == 0:
        return f"{at:%a %H:%M}"
    since = at.hour * 3600 + at.minute * 60
    if since == 0:
        return f"{at:%a}"
    return f"{at:%H:%M}" if distance and since % distance == 0 else ""


def _name(edges: Sequence[float], place: int, step: float, span: float) -> str:
    at = _local(edges[place])
    if at is None:
        return ""
    if step < 0.9 * _DAY_S:
        begins = at.hour == 0 and at.minute == 0
        return (f"{at:%a}" if span <= 8.5 * _DAY_S else f"{at:%a %d}") if begins or place == 0 else ""
    return f"{at.day} {at:%b}" if step < 27 * _DAY_S else f"{at:%b %Y}"


def _bars(strip: Strip, places: Sequence[int], cells: int, shown: Sequence[int]) -> Line:
    counts = strip.counts.requests
    most = max(counts, default=0) or 1
    line: Line = []
    at = 0
    for place in shown:
        # The root: a busy day would else leave no height for the others.
        height = max(2, math.ceil(math.sqrt(counts[place] / most) * 8)) if counts[place] > 0 else 0
        fits = strip.found is None or strip.found[place] > 0
        style = "track" if not height else "lane.main" if fits else "dim"
        drawn = " " * (places[place] - at) + (BLOCKS[min(8, height)] if height else "▁") * cells
        if line and line[-1][1] == style:
            line[-1] = (line[-1][0] + drawn, style)
        else:
            line.append((drawn, style))
        at = places[place] + cells
    return line


def _marks(strip: Strip, places: Sequence[int], cells: int) -> Line:
    edges, marks = strip.counts.edges, {}
    for place, count in enumerate(strip.found or ()):
        if count:
            marks[places[place]] = (FOUND, "warn")
    if strip.here is not None:
        place = _here(strip, strip.here)
        into = (strip.here - edges[place]) / max(1e-9, edges[place + 1] - edges[place])
        cell = places[place] + min(cells - 1, max(0, int(into * cells)))
        marks[cell] = _here_mark(strip, strip.here)
    line: Line = []
    at = 0
    for cell in sorted(marks):
        line += [(" " * (cell - at), ""), marks[cell]]
        at = cell + 1
    return line


def _here(strip: Strip, moment: float) -> int:
    """The place of the bar of this moment."""
    return min(max(0, bisect_right(strip.counts.edges, moment) - 1), len(strip.counts.edges) - 2)


def _here_mark(strip: Strip, moment: float) -> tuple[str, str]:
    return (FOUND_HERE, "warn") if strip.found and strip.found[_here(strip, moment)] else (HERE, "accent")


def _words(strip: Strip) -> list[Line]:
    counts = strip.counts
    weight = f", {size(counts.bytes)}" if counts.bytes else ""
    mark = (HERE, "accent") if strip.here is None else _here_mark(strip, strip.here)
    marks: Line = [mark, (" you are here", "dim")]
    if strip.found is not None:
        marks = [(FOUND, "warn"), (" found   ", "dim"), *marks]
    first: Line = [(plural(counts.total, "request"), "muted"), (weight, "dim")]
    return [first, [(key_of("traces.go_to"), "accent"), (" goes to a day or time", "dim")], marks]


def _local(moment: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(moment)
    except (ValueError, OverflowError, OSError):
        return None
