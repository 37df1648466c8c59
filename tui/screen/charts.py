"""Charts made of characters: bars, graphs, sparklines and large digits, as styled lines of a given size."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from tui.screen.styled_line import Line, Span

BLOCKS = " ▁▂▃▄▅▆▇█"
# The parts of a bar differ in shape as well: without colour, or for eyes that see fewer, nothing is lost.
SHAPES = {"prefill": "▒", "warn": "▒", "neutral": "░", "track": "░", "bad": "▓", "": " "}
_BARS = re.compile("[▏░▒▓█▚┊]+")
SOFT = frozenset({"restored", "lane.main", "decode"})  # a full block of these colours is too loud


def shape(style: str) -> str:
    """The character that fills a part of this style."""
    return SHAPES.get(style, "█")


def without_bars(text: str) -> str:
    """Drawn lines for the clipboard: a bar says nothing there, the figures beside it do."""
    return "\n".join(" ".join(_BARS.sub(" ", line).split()) for line in text.split("\n"))


def bar(
    shares: Sequence[tuple[float, str]], cells: int, rest: str = "track", shapes: Sequence[str] = ()
) -> Line:
    """A bar of `cells` cells: each share (0 to 1) in its style and shape, the remainder in `rest`.

    `shapes` are the characters of shares whose styles have the same one.

    Ends are rounded to whole cells cumulatively, so the parts never add up to more than the bar; a share that
    is not zero shows at least one cell.
    """
    cells = max(0, cells)
    out: Line = []
    filled, exact = 0, 0.0
    for number, (share, style) in enumerate(shares):
        share = share if math.isfinite(share) and share > 0 else 0.0
        exact += share
        end = min(cells, max(round(min(1.0, exact) * cells), filled + 1 if share > 0 else filled))
        if end > filled:
            drawn = shapes[number] if shapes else shape(style)
            out.append((drawn * (end - filled), f"area.{style}" if style in SOFT else style))
        filled = max(filled, end)
    if filled < cells:
        out.append((shape(rest) * (cells - filled), rest))
    return out


def sparkline(values: Sequence[float | None], cells: int, style: str, top: float | None = None) -> Line:
    """A graph of one line, the newest value on the right; None stands for an unknown value."""
    return graph(values, cells, 1, style, top)[0]


def graph(
    values: Sequence[float | None], cells: int, rows: int, style: str, top: float | None = None
) -> list[Line]:
    """A graph of `rows` lines in eighths of a cell; `top` is the value at full height (else the highest)."""
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
                cell = (BLOCKS[min(8, max(0, height - 8 * row))], style)
            line = _append(line, cell)
        out.append(line)
    return out


def _eighths(share: float, rows: int) -> int:
    """The height; what is more than nothing is higher than the line that stands for nothing."""
    if share <= 0:
        return 0
    return max(2, round(min(1.0, share) * rows * 8))


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


def big_digits(text: str, style: str) -> list[Line]:
    """`text` (digits, point, percent sign) three lines high."""
    glyphs = [_DIGITS[character] for character in text if character in _DIGITS]
    return [[("".join(glyph[row] for glyph in glyphs), style)] for row in range(3)]
