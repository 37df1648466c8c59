"""The base of all that is drawn here: a widget that draws line by line and sends only changed lines."""

from __future__ import annotations

from typing import Protocol, cast

from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.screen.looks import Looks


class HasLooks(Protocol):
    """What the widgets ask of the app."""

    @property
    def looks(self) -> Looks: ...


class StripView(ScrollView, can_focus=False):
    """Draws `line_at(y)` for each visible line; `sync` compares with what is on screen and repaints the rest.

    Subclasses have neither border nor padding, so that a line of the screen is a line of the widget.
    """

    DEFAULT_CSS = """
    StripView { overflow-x: hidden; scrollbar-size-vertical: 1; background: $background; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._on_screen: dict[int, Strip] = {}

    @property
    def looks(self) -> Looks:
        """The looks of the current theme."""
        return cast(HasLooks, self.app).looks

    def line_at(self, y: int) -> Strip:
        """The strip for line `y` of the widget, of exactly `self.size.width` cells."""
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        strip = self.line_at(y)
        self._on_screen[y] = strip
        # The background comes with the style sheet, which also knows about focus and hover.
        return strip.apply_style(Style(bgcolor=self.background_colors[1].rich_color))

    def sync(self) -> None:
        """Repaint the lines that look different from what is on screen."""
        if not self.size:
            return
        start: int | None = None
        for y in range(self.size.height + 1):
            differs = y < self.size.height and self.line_at(y) != self._on_screen.get(y)
            if differs and start is None:
                start = y
            elif not differs and start is not None:
                self.refresh(Region(0, start, self.size.width, y - start))
                start = None

    def resize_content(self, lines: int) -> None:
        """Tell the scroll bar how many lines there are."""
        if self.virtual_size.height != lines:
            self.virtual_size = Size(0, lines)

    @property
    def at_end(self) -> bool:
        """The last line is in sight."""
        return self.scroll_y >= self.max_scroll_y - 0.5

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._on_screen.clear()
