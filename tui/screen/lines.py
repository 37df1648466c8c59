"""What is drawn, before it has colours: lines of spans, and the strips, bars and gauges made of them.

A span is a text and the names of its looks (`tui.screen.looks`), as in `("cached", "reused bold")`. A line is
a list of spans. All of this is plain data from pure functions, so that a test can read a screen without a
terminal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from tui.client.wire_text import cut, shorten, width

Span = tuple[str, str]
Line = list[Span]

BLOCKS = " ▁▂▃▄▅▆▇█"
BAR, BAR_END, BAR_START = "━", "╸", "╺"


def line_width(line: Line) -> int:
    """The cells that `line` takes."""
    return sum(width(text) for text, _ in line)


def plain(line: Line) -> str:
    """The text of `line` alone."""
    return "".join(text for text, _ in line)


def fit(line: Line, cells: int, align: str = "left", fill: str = "") -> Line:
    """`line` in exactly `cells` cells: cut with an ellipsis, or padded on the side that `align` leaves."""
    missing = cells - line_width(line)
    if missing < 0:
        return _cut(line, cells)
    if missing == 0:
        return line
    pad = (" " * missing, fill)
    return [pad, *line] if align == "right" else [*line, pad]


def _cut(line: Line, cells: int) -> Line:
    out: Line = []
    left = cells
    for index, (text, look) in enumerate(line):
        taken = width(text)
        more = plain(line[index + 1 :]).strip()
        if taken > left or (taken == left and more):
            # Everything after this is lost; blanks are not missed, anything else leaves an ellipsis.
            lost = more or text.strip() != cut(text, left).strip()
            out.append((shorten(text + ".", left) if lost and left else cut(text, left), look))
            break
        out.append((text, look))
        left -= taken
    missing = cells - line_width(out)
    return [*out, (" " * missing, "")] if missing > 0 else out


def spread(left: Line, right: Line, cells: int) -> Line:
    """`left` and `right` at the two ends of a line; the left one gives way."""
    room = cells - line_width(right)
    if room < 8:
        return fit(left, cells)
    return [*fit(left, room - 1), (" ", ""), *right]


def joined(parts: Iterable[Line], gap: str = "   ") -> Line:
    """Lines beside each other, with `gap` between them; empty ones are left out."""
    out: Line = []
    for part in parts:
        if part:
            out += [(gap, ""), *part] if out else part
    return out


def beside(left: Sequence[Line], right: Sequence[Line], left_cells: int, gap: int = 3) -> list[Line]:
    """Two blocks side by side, the left one `left_cells` wide; the shorter one is filled with blanks."""
    rows = max(len(left), len(right))
    return [
        [
            *fit(left[row] if row < len(left) else [], left_cells),
            (" " * gap, ""),
            *(right[row] if row < len(right) else []),
        ]
        for row in range(rows)
    ]


def bar(shares: Sequence[tuple[float, str]], cells: int, rest: str = "track") -> Line:
    """A thin bar of `cells` cells: each share (0 to 1) in its look, what is left in `rest`.

    Ends are rounded to whole cells cumulatively, so the parts never add up to more than the bar; a share that
    is not zero shows at least one cell.
    """
    cells = max(0, cells)
    out: Line = []
    filled, exact = 0, 0.0
    for share, look in shares:
        share = share if math.isfinite(share) and share > 0 else 0.0
        exact += share
        end = min(cells, max(round(min(1.0, exact) * cells), filled + 1 if share > 0 else filled))
        if end > filled:
            out.append((BAR * (end - filled), look))
        filled = max(filled, end)
    if filled < cells:
        out.append((BAR * (cells - filled), rest))
    return out


def strip(values: Sequence[float | None], cells: int, look: str, top: float | None = None) -> Line:
    """A history of one line, newest at the right; None is a moment of which nothing is known."""
    return graph(values, cells, 1, look, top)[0]


def graph(
    values: Sequence[float | None], cells: int, rows: int, look: str, top: float | None = None
) -> list[Line]:
    """A history of `rows` lines in eighths of a cell; `top` is the value at full height (the highest)."""
    cells = max(0, cells)
    known = [value if value is not None and math.isfinite(value) else None for value in values[-cells:]]
    blanks: list[float | None] = [None] * (cells - len(known))
    recent = blanks + known if cells else []
    highest = top or max((value for value in recent if value is not None), default=0.0)
    if highest <= 0:
        highest = 1.0
    heights = [None if value is None else _eighths(value / highest, rows) for value in recent]
    out: list[Line] = []
    for row in range(rows - 1, -1, -1):
        line: Line = []
        for height in heights:
            if height is None:
                cell = ("·", "track") if row == 0 else (" ", "")
            elif height == 0 and row == 0:
                cell = ("▁", "track")
            else:
                cell = (BLOCKS[min(8, max(0, height - 8 * row))], look)
            line = _append(line, cell)
        out.append(line)
    return out


def _eighths(share: float, rows: int) -> int:
    if share <= 0:
        return 0
    return max(1, round(min(1.0, share) * rows * 8))


def _append(line: Line, cell: Span) -> Line:
    if line and line[-1][1] == cell[1]:
        line[-1] = (line[-1][0] + cell[0], cell[1])
    else:
        line.append(cell)
    return line


_DIGITS = {
    "0": ("┏━┓", "┃ ┃", "┗━┛"),
    "1": ("╺┓ ", " ┃ ", "╺┻╸"),
    "2": ("╺━┓", "┏━┛", "┗━╸"),
    "3": ("╺━┓", " ━┫", "╺━┛"),
    "4": ("╻ ╻", "┗━┫", "  ╹"),
    "5": ("┏━╸", "┗━┓", "╺━┛"),
    "6": ("┏━╸", "┣━┓", "┗━┛"),
    "7": ("╺━┓", "  ┃", "  ╹"),
    "8": ("┏━┓", "┣━┫", "┗━┛"),
    "9": ("┏━┓", "┗━┫", "╺━┛"),
    ".": (" ", " ", "•"),
    "%": (" ", " ", "%"),
    "·": ("   ", "╺━╸", "   "),
}


def big(text: str, look: str) -> list[Line]:
    """`text` (digits, point, percent sign) three lines high."""
    glyphs = [_DIGITS[character] for character in text if character in _DIGITS]
    return [[("".join(glyph[row] for glyph in glyphs), look)] for row in range(3)]


def facts(pairs: Sequence[tuple[str, Line]], cells: int, label_cells: int = 0) -> list[Line]:
    """Names and values in two columns; a pair with an empty value is left out."""
    label_cells = label_cells or max((width(name) for name, value in pairs if value), default=0) + 2
    return [
        [(name.ljust(label_cells), "label"), *fit(value, max(1, cells - label_cells))]
        for name, value in pairs
        if value
    ]
