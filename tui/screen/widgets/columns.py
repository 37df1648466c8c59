"""The columns of a line table, and their widths on a screen of a given width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from tui.screen.styled_line import Line, fit

Row = TypeVar("Row")
GAP = 2


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column. `cell(row, now, cells)` gives its content for a row."""

    title: str
    cell: Callable[[Row, float, int], Line]
    width: int
    align: Literal["left", "right"] = "left"
    least: int = 0  # the smallest useful width; 0: `width`
    grow: int = 0  # its share of spare cells
    most: int = 0  # the largest width; 0: no limit
    rank: int = 0  # on narrow screens the column with the highest rank is dropped first

    @property
    def minimum(self) -> int:
        """The smallest useful width."""
        return self.least or self.width


def lay_out(columns: Sequence[Column[Row]], cells: int) -> list[tuple[Column[Row], int]]:
    """The columns that fit in `cells` cells with their widths, in order; at least one."""
    kept = list(columns)
    while len(kept) > 1 and _needed(kept) > cells:
        worst = max(column.rank for column in kept)
        kept.pop(max(index for index, column in enumerate(kept) if column.rank == worst))
    widths = {id(column): column.minimum for column in kept}
    spare = cells - _needed(kept)
    for column in sorted(kept, key=lambda one: one.rank):
        more = max(0, min(spare, column.width - column.minimum))
        widths[id(column)] += more
        spare -= more
    _grow(kept, widths, spare)
    if len(kept) == 1:
        widths[id(kept[0])] = max(1, min(cells, widths[id(kept[0])]))
    return [(column, widths[id(column)]) for column in kept]


def header_line(layout: Sequence[tuple[Column[Row], int]]) -> Line:
    """The titles of a layout."""
    line: Line = []
    for number, (column, cells) in enumerate(layout):
        gap = " " * GAP if number else ""
        line += [(gap, ""), *fit([(column.title, "label")], cells, column.align)]
    return line


def cells_line(row: Row, layout: Sequence[tuple[Column[Row], int]], now: float) -> Line:
    """The cells of a row in a layout."""
    line: Line = []
    for number, (column, cells) in enumerate(layout):
        if number:
            line.append((" " * GAP, ""))
        line += fit(column.cell(row, now, cells), cells, column.align)
    return line


def title_at(x: int, layout: Sequence[tuple[Column[Row], int]]) -> str:
    """The title of the column at a cell; empty between columns."""
    begin = 0
    for column, cells in layout:
        if begin <= x < begin + cells:
            return column.title
        begin += cells + GAP
    return ""


def _needed(columns: Sequence[Column[Row]]) -> int:
    return sum(column.minimum for column in columns) + GAP * (len(columns) - 1)


def _grow(columns: Sequence[Column[Row]], widths: dict[int, int], spare: int) -> None:
    growing = [column for column in columns if column.grow]
    while spare > 0 and growing:
        parts = sum(column.grow for column in growing)
        given = 0
        for column in list(growing):
            more = max(1, spare * column.grow // parts)
            if column.most:
                more = min(more, column.most - widths[id(column)])
            more = min(more, spare - given)
            if more <= 0:
                growing.remove(column)
                continue
            widths[id(column)] += more
            given += more
        spare -= given
        if not given:
            return
