"""In which order the list stands, as SQL, and how many rows stand before one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_COLUMNS = {
    "time": "time",
    "took": "took",
    "ttft": "ttft",
    "tokens": "prompt",
    "cache": "share",
    "out": "out",
}
SORTS = tuple(_COLUMNS)  # named as the figures of filters are


@dataclass(frozen=True, slots=True)
class Order:
    """By time the newest row comes first, by a figure the largest; `reverse` turns that round.

    Rows without the figure come last in both directions, equal ones newest first.
    """

    by: str = "time"
    reverse: bool = False

    @classmethod
    def of(cls, by: str, reverse: bool = False) -> Order:
        """An order by one of `SORTS`.

        Raises:
            ValueError: it is none of them.
        """
        if by not in _COLUMNS:
            raise ValueError(f"sort={by}: the list is sorted by one of {', '.join(SORTS)}")
        return cls(by, reverse)

    @property
    def column(self) -> str:
        """The column of the table `traces`; of the figures in a form that keeps SQLite from walking an index.

        That would read row after row in places all over the table, where most of them do not fit.
        """
        return _COLUMNS[self.by] if self.by == "time" else f"+{_COLUMNS[self.by]}"

    def terms(self, *, backwards: bool = False) -> str:
        """What stands behind ORDER BY; `backwards` for the list from its end."""
        if self.by == "time":
            way = "ASC" if self.reverse != backwards else "DESC"
            return f"time {way}, id {way}"
        way, last = ("ASC", "LAST") if self.reverse else ("DESC", "LAST")
        if backwards:
            way, last = ("DESC" if self.reverse else "ASC"), "FIRST"
        rest = "ASC" if backwards else "DESC"
        return f"{self.column} {way} NULLS {last}, time {rest}, id {rest}"

    def before(self, row: tuple[Any, float, str]) -> tuple[str, tuple[object, ...]]:
        """The condition on rows that stand before this one (its figure, time and id), and its parameters."""
        figure, *place = row
        if self.by == "time":
            return f"(time, id) {'<' if self.reverse else '>'} (?, ?)", tuple(place)
        if figure is None:
            return f"({self.column} IS NOT NULL OR (time, id) > (?, ?))", tuple(place)
        sign = "<" if self.reverse else ">"
        condition = f"({self.column} {sign} ? OR ({self.column} = ? AND (time, id) > (?, ?)))"
        return condition, (figure, figure, *place)


BY_TIME = Order()
