"""What a list of traces is asked for: a filter, a range of time, an order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from proxy.filters.moments import moment_of

RangeName = Literal["now", "today", "7 days", "all"]
_BEGINS = {"now": "60m", "today": "today", "7 days": "7d"}
RANGES: tuple[RangeName, ...] = ("all", "7 days", "today", "now")
SORTS = ("time", "took", "ttft", "tokens", "cache", "out")  # as the host's API names them


def range_begin(name: RangeName, now: float) -> float:
    """Epoch seconds at which a range begins; 0 for all of the time. Now is the last hour."""
    return moment_of(_BEGINS[name], now=now) if name in _BEGINS else 0.0


def next_range(name: RangeName) -> RangeName:
    """The range that the key leads to from this one."""
    return RANGES[(RANGES.index(name) + 1) % len(RANGES)]


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which traces are listed, and in which order."""

    text: str = ""
    range: RangeName = "all"
    sort: str = "time"
    reverse: bool = False

    @property
    def by_time(self) -> bool:
        """Whether the newest row comes first: only then rows that come are on top."""
        return self.sort == "time" and not self.reverse

    def sorted_by(self, sort: str) -> ListQuery:
        """By a figure, from the end that asks for a look: the lowest share of the cache, else the largest."""
        return replace(self, sort=sort, reverse=sort == "cache")

    def next_sort(self) -> ListQuery:
        """By the next figure."""
        return self.sorted_by(SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)])
