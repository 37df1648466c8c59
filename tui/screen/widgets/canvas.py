"""A block of lines that a pure function draws for a given width and height."""

from __future__ import annotations

from collections.abc import Callable

from textual.events import Hide, Resize, Show
from textual.strip import Strip

from tui.screen.styled_line import Line, fit, line_width, spread
from tui.screen.widgets.strip_view import StripView

_LEAST_TITLE = 12  # cells of a heading beside a long note
Draw = Callable[[int, int], list[Line]]


class Canvas(StripView):
    """Shows the lines that its function returns; drawn again on `paint` and in another size."""

    IGNORED = (Show, Resize, Hide)  # it has neither the focus nor a bar, which would take their leave
    DEFAULT_CSS = "Canvas { overflow: hidden; height: 1; }"

    def __init__(
        self, draw: Draw | None = None, *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._draw = draw or (lambda width, height: [])
        self._lines: list[Line] = []
        self._strips: dict[int, Strip] = {}  # of those lines that were asked for
        self._strips_for = 0  # the width
        self._drawn_for: tuple[int, int] | None = None

    def paint(self, draw: Draw | None = None) -> None:
        """Draw again, from now on with `draw` if given."""
        self._draw = draw or self._draw
        self._drawn_for = None  # hidden, it is drawn when it is seen
        self.sync()

    def line_at(self, y: int) -> Strip:
        width, height = self.size
        if self._drawn_for != (width, height):
            before, lines = self._lines, self._draw(width, height)
            same = self._strips_for == width
            # A line that says the same has its strip: most of what is painted again is as it was.
            self._strips = {
                y: strip
                for y, strip in self._strips.items()
                if same and before[y : y + 1] == lines[y : y + 1]
            }
            self._lines, self._strips_for, self._drawn_for = lines, width, (width, height)
        strip = self._strips.get(y)
        if strip is None:
            line = self._lines[y] if y < len(self._lines) else []
            strip = self._strips[y] = self.theme_styles.strip(fit(line, width), width)
        return strip

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips = {}


class Heading(Canvas):
    """The line above a section: its title, a rule, and a note at the right end."""

    DEFAULT_CSS = "Heading { height: 1; }"

    def __init__(self, title: str, *, id: str | None = None) -> None:
        super().__init__(self._rule, id=id)
        self._title: Line = [(title, "bold")]
        self._note: Line = []

    def set_text(self, title: Line | None = None, note: Line | None = None) -> None:
        """Change the title, the note, or both."""
        before = (self._title, self._note)
        self._title = self._title if title is None else title
        self._note = self._note if note is None else note
        if (self._title, self._note) != before:
            self.paint()

    def _rule(self, width: int, height: int) -> list[Line]:
        return [heading(self._title, self._note, width)]


def heading(title: Line, note: Line, width: int) -> Line:
    """A section's title, a rule, and a note at the right end, in `width` cells."""
    left: Line = [(" ", ""), *title, (" ", "")]
    right: Line = [(" ", ""), *note, (" ", "")] if note else []
    rule = width - line_width(left) - line_width(right)
    if rule < 1:  # the title gives way, down to its first word; then the note is shortened
        least = min(line_width(left), _LEAST_TITLE)
        return spread(left, fit(right, max(0, min(line_width(right), width - least))), width)
    return [*left, ("─" * rule, "rule"), *right]
