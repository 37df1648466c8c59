"""Lines that a pure function draws for a width, of which as many are visible as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.strip import Strip

from tui.screen.styled_line import Line, fit
from tui.screen.widgets.strip_view import StripView

BAR = 1  # cells that are kept for the scroll bar, which comes and goes without a resize


class ScrolledLines(StripView, can_focus=True):
    """Shows what `draw` returns; keys and the wheel scroll to what is out of sight."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False),
        Binding("down,j", "scroll_down", "Down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home", "scroll_home", "Start", show=False),
        Binding("end", "scroll_end", "End", show=False),
    ]
    DEFAULT_CSS = "ScrolledLines { overflow: hidden auto; height: 1; }"

    def __init__(self, draw: Callable[[int], Sequence[Line]], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._draw = draw
        self._lines: Sequence[Line] = ()

    def paint(self) -> None:
        """Draw again."""
        if self.size:
            self._lines = self._draw(self.size.width - BAR)
            self.resize_content(len(self._lines))
        self.sync()

    def reveal(self, line: int) -> None:
        """Scroll so that a line is visible."""
        top, height = round(self.scroll_y), max(1, self.size.height)
        if line < top or line >= top + height:
            self.scroll_to(y=line if line < top else line - height + 1, animate=False, force=True)

    def line_at(self, y: int) -> Strip:
        index = round(self.scroll_y) + y
        line = self._lines[index] if index < len(self._lines) else []
        return self.theme_styles.strip(fit(line, self.size.width), self.size.width)

    def fit(self) -> None:
        self.paint()
