"""Which requests have a line already: eight bytes for each, where a set of their ids takes a hundred."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable

_RECENT = 16_384  # ids that are put in order together


class KnownIds:
    """A set that only grows, of hashes of 64 bits.

    Of a million ids, the chance is 1 in 37 million that two have the same; the second would get no line.
    """

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._sorted = array("q")
        self._recent: set[int] = set()
        for one in ids:
            self.add(one)

    def add(self, id: str) -> None:
        """Know this one from now on."""
        self._recent.add(hash(id))
        if len(self._recent) >= _RECENT:
            self._sorted = array("q", sorted([*self._sorted, *self._recent]))
            self._recent = set()

    def __contains__(self, id: str) -> bool:
        wanted = hash(id)
        if wanted in self._recent:
            return True
        place = bisect_left(self._sorted, wanted)
        return place < len(self._sorted) and self._sorted[place] == wanted
