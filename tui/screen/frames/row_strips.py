"""The strips of a table's rows, kept as long as they would be drawn the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.strip import Strip

KEPT = 250  # of a table: several screens; each takes some 12 kB

_Strips = dict[tuple[object, ...], tuple[Any, Strip]]


class RowStrips:
    """Rows are immutable and compared by identity; those that run are drawn anew for each moment."""

    def __init__(self) -> None:
        self._kept: _Strips = {}
        # For one moment: a frame asks for them twice, to compare them with what is drawn and to draw them.
        self._momentary: _Strips = {}
        self._moment = 0.0

    def get(
        self, row: Any, look: tuple[object, ...], moment: float | None, draw: Callable[[], Strip]
    ) -> Strip:
        """The strip of `row` in a `look`, as `draw` makes it; `moment` is given for a row that runs."""
        strips = self._kept if moment is None else self._momentary
        if moment is not None and moment != self._moment:
            self._moment = moment
            strips.clear()
        key = (id(row), *look)
        known = strips.get(key)
        if known is not None and known[0] is row:
            return known[1]
        strip = draw()
        if len(strips) > KEPT:
            strips.clear()
        strips[key] = (row, strip)
        return strip

    def clear(self) -> None:
        """Forget all: they would be drawn in another way now."""
        self._kept.clear()
        self._momentary.clear()
