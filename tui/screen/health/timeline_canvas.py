"""The timeline as a widget that the mouse can choose a moment on."""

from __future__ import annotations

from textual import events
from textual.message import Message

from tui.screen.health.timeline_rows import LABEL, cells_of
from tui.screen.widgets.canvas import Canvas


class TimelineCanvas(Canvas):
    """The timeline; a click chooses a moment."""

    class Chosen(Message):
        """The user has chosen a cell of the axis."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def on_click(self, event: events.Click) -> None:
        place = event.x - LABEL - 2
        if 0 <= place < cells_of(self.size.width):
            self.post_message(self.Chosen(place))
