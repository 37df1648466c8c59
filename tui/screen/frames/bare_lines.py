"""Lines that go to the terminal as a widget drew them."""

from __future__ import annotations

from collections.abc import Sequence

from textual._styles_cache import StylesCache
from textual.color import Color
from textual.filter import LineFilter
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class BareLines(StylesCache):
    """Keeps the lines of a widget that has neither border nor padding, nor is seen through.

    Textual asks for all lines between the first and the last that changed on the screen, which are most of
    them in each frame, and works out for each what it has of a border. Here a line that did not change is
    looked up.
    """

    def __init__(self) -> None:
        super().__init__()
        self._filters: Sequence[LineFilter] = ()
        self._background: Color | None = None

    def background(self, widget: Widget) -> Color:
        """What a widget lies on, which Textual works out from all of its containers each time."""
        self._background = self._background or widget.background_colors[1]
        return self._background

    def forget_background(self) -> None:
        """Called when the widget's styles are other ones."""
        self._background = None

    def render_widget(self, widget: Widget, crop: Region) -> list[Strip]:
        width, filters = widget.outer_size.width, widget.get_line_filters()
        if (width, filters) != (self._width, self._filters):
            self.clear()
            self._width, self._filters = width, filters
        kept, dirty, lines = self._cache, self._dirty_lines, crop.line_range
        missing = [y for y in lines if y in dirty or y not in kept]
        for y in missing:
            strip = widget.render_line(y)
            for one in filters:
                strip = strip.apply_filter(one, self.background(widget))
            kept[y] = strip
        dirty.difference_update(missing)
        strips = [kept[y] for y in lines]
        hovered = widget.hover_style
        if hovered._link_id and hovered._meta and "@click" in hovered.meta:
            strips = [strip.style_links(hovered.link_id, widget.link_style_hover) for strip in strips]
        begin, end = crop.column_span
        return strips if (begin, end) == (0, width) else [strip.crop(begin, end) for strip in strips]
