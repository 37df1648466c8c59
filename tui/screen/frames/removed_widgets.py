"""What has been removed and still stands on the screen, until that is laid out anew, takes no press."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.geometry import Offset
    from textual.screen import Screen
    from textual.widget import Widget

    _OfScreen = Screen[Any]
else:
    _OfScreen = object  # a node of Textual's would hide from the screen what it inherits of styles


class WithoutRemoved(_OfScreen):
    """Of a screen: a press on a note that goes at that moment is beside all widgets.

    Textual begins to select text where a press is, looks for the widget's parent, and ended with its error.
    """

    def get_widget_and_offset_at(self, x: int, y: int) -> tuple[Widget | None, Offset | None]:
        widget, offset = super().get_widget_and_offset_at(x, y)
        if widget is not None and widget is not self and widget.parent is None:
            return None, None
        return widget, offset
