"""The table of the list of traces: other lists go to their first row with `g`, this one to a day."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from tui.screen.widgets.line_table import LineTable


class TraceTable(LineTable[Any]):
    """Rows of traces, in any order."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("g", "go_to", "Go to", show=False)]

    class GoTo(LineTable.Selected):
        """The user wants to go to a day or a time."""

    def action_go_to(self) -> None:
        """Ask where to."""
        self.post_message(self.GoTo(self))
