"""What lies below other widgets: containers that show nothing but their background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from textual.containers import Vertical
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

# Not a widget by itself: Textual takes the style sheet of a class from its first base that is one.
if TYPE_CHECKING:
    _Mixin = Widget
else:
    _Mixin = object


class Ground(_Mixin):
    """Mixed into a container without border and padding, to draw it as one blank line for all of its lines.

    Textual draws each container below what lies on it, line by line, and a table lies on four of them: of
    the lines that it draws to show another pane, four of five could not be seen.
    """

    _blank: tuple[int, Strip] | None = None  # for a width, as long as the styles are the same

    def render_lines(self, crop: Region) -> list[Strip]:
        if self._blank is None or self._blank[0] != crop.width:
            _, background = self.background_colors
            blank = Strip.blank(crop.width, Style(bgcolor=background.rich_color))
            for one in self.get_line_filters():
                blank = blank.apply_filter(one, background)
            self._blank = (crop.width, blank)
        return [self._blank[1]] * crop.height

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._blank = None


class Stack(Ground, Vertical):
    """Widgets below each other, on nothing but a background."""
