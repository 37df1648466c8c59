"""Two texts, side by side or below each other, with the words marked in which they differ."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, groupby, zip_longest
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from tui.client.differences.rows import DiffLine, DiffRow
from tui.client.differences.stretches import LONG, drawn_pieces, drawn_text
from tui.client.wire_text import width, wrap
from tui.screen.styled_line import Line, broken, fit
from tui.screen.widgets.strip_view import StripView

_SIDES = {"a": ("-", "bad"), "b": ("+", "ok")}
_BETWEEN = {"changed": (" ≠ ", "warn")}
_SAME_BETWEEN = (" │ ", "rule")
_CACHED = 500  # wrapped rows

_Drawn = tuple[DiffRow, str]  # the sides of a row that are drawn in it: "a", "b" or "ab"


class DiffView(StripView, can_focus=True):
    """Rows of a diff. `step` goes from one difference to the next: the present one has a mark at its left.

    One set of rows has both sides, so they scroll as one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False),
        Binding("down,j", "scroll_down", "Down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown,space", "page_down", "Page down", show=False),
        Binding("home,g", "scroll_home", "Start", show=False),
        Binding("end,G", "scroll_end", "End", show=False),
    ]
    DEFAULT_CSS = "DiffView { height: 1fr; }"

    class Moved(Message):
        """Another difference is the present one."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[DiffRow] = ()
        self._titles = ("", "")
        self._beside = False
        self._drawn: list[_Drawn] = []
        self._heights: list[int] = []  # of each of `_drawn`: guessed until it comes near the screen
        self._ends: list[int] = []  # the screen line behind each
        self._measured: set[int] = set()
        self._wrapped: dict[int, list[Line]] = {}
        self._differences: list[tuple[int, int]] = []  # first of `_drawn` in it, and the one behind it
        self._here = 0
        self._digits = 1
        self._laid_out_for = 0

    # -- what is shown ------------------------------------------------------------------------------------

    def show(self, rows: Sequence[DiffRow], *, beside: bool, titles: tuple[str, str] = ("", "")) -> None:
        """Show `rows` from their beginning, side by side under `titles` or below each other."""
        self._rows, self._beside, self._titles, self._here = rows, beside, titles, 0
        self._arrange()
        self.scroll_to(y=0, animate=False, force=True)
        self.refresh()

    def turn(self, *, beside: bool, titles: tuple[str, str] = ("", "")) -> None:
        """Show the same rows the other way; the present difference stays in sight."""
        self._beside, self._titles = beside, titles
        self._arrange()
        self._reveal()
        self.refresh()

    @property
    def place(self) -> tuple[int, int]:
        """Which difference is the present one, from 1 on, and how many there are."""
        return (self._here + 1 if self._differences else 0, len(self._differences))

    def step(self, steps: int) -> bool:
        """Go to the next difference, or the one before; False where there is none."""
        there = self._here + steps
        if not 0 <= there < len(self._differences):
            return False
        self._here = there
        self._reveal()
        self.refresh()
        self.post_message(self.Moved())
        return True

    def to_last(self) -> None:
        """Go to the last difference."""
        self.step(len(self._differences) - 1 - self._here)

    # -- arrangement --------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        last = [line.number for row in self._rows[-50:] for line in (row.a, row.b) if line is not None]
        self._digits = len(str(max(last, default=1)))
        self._drawn, self._differences = [], []
        for differs, group in groupby(self._rows, lambda row: row.kind in ("changed", "apart")):
            begin, rows = len(self._drawn), list(group)
            self._drawn += _unified(rows) if differs and not self._beside else [(row, "ab") for row in rows]
            if differs:
                self._differences.append((begin, len(self._drawn)))
        self._lay_out()

    def _lay_out(self) -> None:
        self._laid_out_for = self.size.width
        self._wrapped.clear()
        self._measured.clear()
        cells = self._cells
        longest = (
            max(len(row.a.text) if row.a else 0, len(row.b.text) if row.b else 0) for row, _ in self._drawn
        )
        self._heights = [1 + min(characters, LONG) // cells for characters in longest]
        self._ends = list(accumulate(self._heights))
        self._measure(0)
        self.resize_content(self._total + self._head)

    @property
    def _total(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _measure(self, y: int) -> int:
        """Learn the heights of the rows some screens around line `y`; how many lines that adds above it."""
        screen = max(1, self.size.height)
        first, here = bisect_right(self._ends, y - 2 * screen), bisect_right(self._ends, y)
        behind = bisect_right(self._ends, y + 3 * screen) + 1
        more = more_above = 0
        for index in range(first, min(behind, len(self._drawn))):
            if index in self._measured:
                continue
            self._measured.add(index)
            row, sides = self._drawn[index]
            texts = (drawn_text(row, side) for side in self._texts_of(row, sides))
            height = max(_height(text, self._cells) for text in texts)
            change, self._heights[index] = height - self._heights[index], height
            more += abs(change)
            more_above += change if index < here else 0
        if more:
            self._ends = list(accumulate(self._heights))
            self.resize_content(self._total + self._head)
        return more_above

    @property
    def _head(self) -> int:
        """Lines that stay above what scrolls."""
        return int(self._beside)

    @property
    def _cells(self) -> int:
        """The cells of a text."""
        if self._beside:
            return max(8, (self.size.width - 1 - 3) // 2 - self._digits - 3)
        return max(8, self.size.width - 2 * (self._digits + 1) - 4)

    @property
    def _half(self) -> int:
        """The cells of a side: number, sign and text."""
        return self._digits + 3 + self._cells

    def _texts_of(self, row: DiffRow, sides: str) -> str:
        """The sides whose texts are drawn in a row: equal ones once, where they are not beside each other."""
        return sides if self._beside and row.kind != "note" else sides[0]

    def _reveal(self) -> None:
        """Scroll to the present difference, with a line of what is before it."""
        if not self._differences or not self.size.height:
            return
        begin, end = self._differences[self._here]
        self._measure(self._ends[begin - 1] if begin else 0)
        top, below = self._ends[begin - 1] if begin else 0, self._ends[end - 1]
        seen, height = round(self.scroll_y), self.size.height - self._head
        if top < seen or below > seen + height:
            self.scroll_to(y=max(0, top - 1), animate=False, force=True)

    # -- drawing ------------------------------------------------------------------------------------------

    def line_at(self, y: int) -> Strip:
        if self._head and y == 0:
            return self.theme_styles.strip(self._titles_line(), self.size.width)
        return self.theme_styles.strip(self._line(round(self.scroll_y) + y - self._head), self.size.width)

    def _titles_line(self) -> Line:
        a, b = ([(" " * (self._digits + 3), ""), (title, "label")] for title in self._titles)
        return [(" ", ""), *fit(a, self._half), _SAME_BETWEEN, *fit(b, self._half)]

    def _line(self, number: int) -> Line:
        if number >= self._total:
            return []
        index = bisect_right(self._ends, number)
        lines = self._wrapped.get(index)
        if lines is None:
            if len(self._wrapped) > _CACHED:
                self._wrapped.clear()
            lines = self._wrapped[index] = self._row_lines(*self._drawn[index])
        begin = self._ends[index - 1] if index else 0
        here = bool(self._differences) and self._differences[self._here][0] <= index
        mark = "▌" if here and index < self._differences[self._here][1] else " "
        return [(mark, "accent"), *(lines[number - begin] if number - begin < len(lines) else [])]

    def _row_lines(self, row: DiffRow, sides: str) -> list[Line]:
        if row.kind == "note":
            lines: list[Line] = [
                [(" " * (self._digits + 3), ""), (part, "dim")] for part in wrap(row.words, self._cells)
            ]
            return [[*fit(line, self._half), _SAME_BETWEEN] for line in lines] if self._beside else lines
        if not self._beside:
            return self._below(row, sides)
        a, b = (
            [[*self._margin(row, side, not at), *text] for at, text in enumerate(self._texts(row, side))]
            for side in "ab"
        )
        between = _BETWEEN.get(row.kind, _SAME_BETWEEN)
        nothing: Line = []
        return [
            [*fit(one, self._half), between if not at else _SAME_BETWEEN, *fit(other, self._half)]
            for at, (one, other) in enumerate(zip_longest(a, b, fillvalue=nothing))
        ]

    def _below(self, row: DiffRow, sides: str) -> list[Line]:
        side = sides[0]
        numbers = [row.a if "a" in sides else None, row.b if "b" in sides else None]
        out: list[Line] = []
        for at, text in enumerate(self._texts(row, side)):
            margin: Line = [(f"{self._number(one, not at)} ", "dim") for one in numbers]
            out.append([*margin, self._sign(row, side, not at), *text])
        return out

    def _texts(self, row: DiffRow, side: str) -> list[Line]:
        if (row.a if side == "a" else row.b) is None:
            return []
        style = _SIDES[side][1]
        whole = {"same": "muted", "apart": style}.get(row.kind, "")
        styles = {"": whole, "differs": f"{style} bold underline", "note": "dim"}
        pieces = [(text, styles[mark]) for text, mark in drawn_pieces(row, side)]
        return broken(pieces, wrap(drawn_text(row, side), self._cells))

    def _margin(self, row: DiffRow, side: str, first: bool) -> Line:
        line = row.a if side == "a" else row.b
        return [(f"{self._number(line, first)} ", "dim"), self._sign(row, side, first and line is not None)]

    def _number(self, line: DiffLine | None, first: bool) -> str:
        return f"{line.number if line is not None and first else '':>{self._digits}}"

    def _sign(self, row: DiffRow, side: str, first: bool) -> tuple[str, str]:
        sign, style = _SIDES[side]
        return (f"{sign} ", style) if first and row.kind != "same" else ("  ", "")

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        more = self._measure(round(new_value))
        if more:  # what is seen stays where it is
            self.scroll_to(y=new_value + more, animate=False, force=True)

    def action_scroll_end(self) -> None:
        """To the last line."""
        self._measure(self._total)
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)

    def fit(self) -> None:
        """Lay it out anew in another width."""
        if self.size.width != self._laid_out_for:
            self._lay_out()
            self._reveal()
        self.refresh()


def _unified(rows: Sequence[DiffRow]) -> list[_Drawn]:
    """The lines of A in a difference, then those of B."""
    sides = (("a", [row for row in rows if row.a]), ("b", [row for row in rows if row.b]))
    return [(row, side) for side, those in sides for row in those]


def _height(text: str, cells: int) -> int:
    if 2 * len(text) <= cells or (len(text) <= cells and width(text) <= cells):
        return 1
    return len(wrap(text, cells))
