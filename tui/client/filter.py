"""The filter of the lists whose rows the screen holds: the language of `proxy.filters`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from proxy.filters.language import parse_filter
from proxy.filters.matching import FilteredRow, fits


@dataclass(frozen=True, slots=True)
class PlainRow:
    """A row of which only its words are known."""

    search_text: str
    received: float = 0.0
    http_status: int = 0

    def filter_values(self, name: str) -> Iterable[str]:
        return ()

    def filter_figure(self, name: str) -> float | None:
        return None

    def filter_states(self) -> frozenset[str]:
        return frozenset()


def matcher(query: str) -> Callable[[Any, str], bool]:
    """Whether a row with this lower-case text fits `query`; an empty query fits everything.

    Raises:
        proxy.filters.terms.FilterError: the query cannot be read.
    """
    wanted = parse_filter(query, now=time.time())

    def matches(row: Any, text: str) -> bool:
        filtered: FilteredRow = row if hasattr(row, "filter_states") else PlainRow(text)
        return fits(filtered, wanted)

    return matches
