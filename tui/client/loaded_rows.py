"""A long list of which only some rows were loaded: a scroll bar shows its true length, `end` is its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from proxy.traces.schema import TraceSummary

PAGE = 200  # rows that are asked for at once


class LoadedRows(Sequence["TraceSummary | None"]):
    """Immutable. `total` rows, newest first; a row that was not loaded is None."""

    def __init__(self, total: int = 0, known: Mapping[int, TraceSummary] | None = None) -> None:
        self._total = total
        self._known = dict(known or {})
        self._places = {row.id: index for index, row in self._known.items()}

    def __len__(self) -> int:
        return self._total

    @overload
    def __getitem__(self, index: int) -> TraceSummary | None: ...

    @overload
    def __getitem__(self, index: slice) -> list[TraceSummary | None]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self._known.get(place) for place in range(*index.indices(self._total))]
        place = index + self._total if index < 0 else index
        if not 0 <= place < self._total:
            raise IndexError(index)
        return self._known.get(place)

    def place_of(self, trace_id: str) -> int | None:
        """The place of a row that was loaded."""
        return self._places.get(trace_id)

    def with_page(
        self, start: int, page: Sequence[TraceSummary], total: int, *, by_time: bool = True
    ) -> LoadedRows:
        """With the rows from `start` on, and the list as long as it is now.

        Where rows came or went meanwhile, the ones that were loaded move along if the page shows how far;
        else they are dropped, to be loaded again. In an order other than by time a row may come anywhere, so
        they are dropped as soon as anything has moved. A row that did not change stays the same object.
        """
        shift = self._shift(start, page, total)
        if not by_time and (shift != 0 or total != self._total):
            shift = None
        known = {}
        if shift is not None:
            known = {place + shift: row for place, row in self._known.items() if place + shift >= 0}
        old = {row.id: row for row in self._known.values()}
        fresh = [old[row.id] if old.get(row.id) == row else row for row in page]
        ids = {row.id for row in fresh}
        known = {place: row for place, row in known.items() if place < total and row.id not in ids}
        return LoadedRows(total, known | dict(enumerate(fresh[: max(0, total - start)], start)))

    def _shift(self, start: int, page: Sequence[TraceSummary], total: int) -> int | None:
        for offset, row in enumerate(page):
            if (before := self._places.get(row.id)) is not None:
                return start + offset - before
        return 0 if total == self._total else None
