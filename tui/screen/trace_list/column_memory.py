"""The columns of the list of traces that the user chose last."""

from __future__ import annotations

from collections.abc import Sequence

from tui.screen.choices.remembered import Remembered
from tui.screen.trace_list.columns import HELP, USUAL

_NAME = "traceColumns"


class ColumnMemory:
    """The columns that the user chose last, among what the screen remembers."""

    def __init__(self, remembered: Remembered | None = None) -> None:
        self._remembered = remembered or Remembered()

    def chosen(self) -> tuple[str, ...]:
        """Their titles; the usual ones where none were chosen, or what is remembered is damaged."""
        told = self._remembered.get(_NAME)
        return tuple(title for title in HELP if isinstance(told, list) and title in told) or USUAL

    def keep(self, titles: Sequence[str]) -> None:
        """Remember them for the next start."""
        self._remembered.keep(_NAME, list(titles))
