"""What stands beside a table is drawn with the table: in one frame, not in one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tui.screen.widgets.line_table import LineTable


class SelectionOwner:
    """Of a pane or a screen with tables in it: both are told, the inner one first.

    A message would come to it some turns of the event loop after the key: the moved row is drawn by then.
    """

    def row_selected(self, table: LineTable[Any]) -> None:
        """Draw what follows from the selected row of a table, or from whether the table follows."""

    def on_line_table_selected(self, event: LineTable.Selected) -> None:
        """As no key moved it: rows came or went."""
        self.row_selected(event.table)


def tell_selection(table: LineTable[Any]) -> None:
    """Have what stands beside `table` drawn at once."""
    for one in table.ancestors:
        if isinstance(one, SelectionOwner):
            one.row_selected(table)
