"""The base of our widgets: draws line by line and repaints only changed lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol, cast

from rich.style import Style
from textual.containers import VerticalScroll
from textual.events import Event, Resize, Show
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from tui.screen.frames.bare_lines import BareLines
from tui.screen.theme_styles import ThemeStyles


class HasThemeStyles(Protocol):
    """The part of the app that the widgets use."""

    @property
    def theme_styles(self) -> ThemeStyles: ...


class StripView(ScrollView, can_focus=False):
    """Draws `line_at(y)` for each visible line; `sync` repaints the lines that changed.

    Subclasses have neither border nor padding, so that a line of the screen is a line of the widget. They do
    not get the events `IGNORED`: half of what another pane takes would be to hand them to all parts of both.
    """

    IGNORED: ClassVar[tuple[type[Event], ...]] = (Show, Resize)  # `fit` is called in place of them

    DEFAULT_CSS = """
    StripView { overflow: hidden scroll; scrollbar-size-vertical: 1; background: $background; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.disable_messages(*self.IGNORED)
        self._styles_cache = self._bare_lines = BareLines()
        self._on_screen: dict[int, Strip] = {}
        self._scrolled_in: tuple[Size, Size, bool] | None = None  # what the scroll bar was drawn for

    @property
    def theme_styles(self) -> ThemeStyles:
        """The styles of the current theme."""
        return cast(HasThemeStyles, self.app).theme_styles

    def line_at(self, y: int) -> Strip:
        """The strip for line `y` of the widget, of exactly `self.size.width` cells."""
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        strip = self.line_at(y)
        self._on_screen[y] = strip
        return strip.apply_style(Style(bgcolor=self._bare_lines.background(self).rich_color))

    def sync(self) -> None:
        """Repaint the lines that differ from those on screen."""
        width, height = self.size  # asked for once: Textual works it out from the whole screen each time
        if (
            not width or not height
        ):  # it is hidden: Textual would show first what it has kept of the old lines
            self.refresh()
            return
        start: int | None = None
        for y in range(height + 1):
            differs = y < height and _differ(self.line_at(y), self._on_screen.get(y))
            if differs and start is None:
                start = y
            elif not differs and start is not None:
                self.refresh(Region(0, start, width, y - start))
                start = None

    def resize_content(self, lines: int) -> None:
        """Set the number of lines for the scroll bar.

        Textual lays the whole screen out for each new size. The bar has its column also while all lines are
        visible, so nothing but the bar changes: an answer grows by some lines a second, and each row of a
        list has one of another length.
        """
        if self.virtual_size.height == lines:
            return
        size, height = Size(0, lines), self.styles.height
        if not self.size or not self.show_vertical_scrollbar or (height is not None and height.is_auto):
            self.virtual_size = size
            return
        self.set_reactive(Widget.virtual_size, size)
        self._scroll_update(size)
        if self.scroll_y > self.max_scroll_y:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)

    def fit(self) -> None:
        """Called when its size is another one, before it is drawn in it."""

    def _size_updated(
        self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True
    ) -> bool:
        before = self.outer_size
        changed = super()._size_updated(size, virtual_size, container_size, layout)
        if size != before:
            self.fit()  # an event of the resize comes when the first frame is on the screen
        return changed

    def _scroll_update(self, virtual_size: Size) -> None:
        """Textual's, with an empty bar where there is nothing to scroll; it draws the bar anew each time."""
        whole = virtual_size.with_height(max(virtual_size.height, self.container_size.height))
        sizes = (whole, self.container_size, self.show_vertical_scrollbar)
        if sizes != self._scrolled_in:
            super()._scroll_update(whole)
            self._scrolled_in = (whole, self.container_size, self.show_vertical_scrollbar)

    def _arrange_scrollbars(self, region: Region) -> Iterable[tuple[Widget, Region]]:
        """Textual's, without telling the bar first of less than there is room for: it were drawn twice."""
        if self.show_horizontal_scrollbar or not self.show_vertical_scrollbar:
            yield from super()._arrange_scrollbars(region)
            return
        window, place = region.split_vertical(region.width - self.scrollbar_size_vertical)
        if place:
            bar = self.vertical_scrollbar
            bar.window_virtual_size = max(self.virtual_size.height, window.height)
            bar.window_size = window.height
            yield bar, place

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """Tell a scroll bar that appears where the content was scrolled to before it was there."""
        if shown:
            self.vertical_scrollbar._styles_cache = BareLines()
            self.vertical_scrollbar.disable_messages(Show, Resize)
            self.vertical_scrollbar.position = round(self.scroll_y)

    # -- in a screen that is too low for all of its parts ---------------------------------------------------

    def scroll_around(self, lines: int) -> bool:
        """Scroll what this stands in, as a key leads no further in here; False: all of it is in sight."""
        if (around := self._around) is None:
            return False
        around.scroll_to(y=around.scroll_y + lines, animate=False, force=True)
        return True

    def reveal_line(self, y: int) -> None:
        """Scroll what this stands in so that a line of this widget is in sight."""
        if (around := self._around) is not None:
            line, top, height = self.virtual_region.y + y, round(around.scroll_y), around.size.height
            if not top <= line < top + height:
                to = line if line < top else line - height + 1
                around.scroll_to(y=to, animate=False, force=True)

    @property
    def _around(self) -> VerticalScroll | None:
        around = self.parent
        return around if isinstance(around, VerticalScroll) and around.max_scroll_y > 0 else None

    @property
    def at_end(self) -> bool:
        """Whether the last line is visible."""
        return self.scroll_y >= self.max_scroll_y - 0.5

    def watch_has_focus(self, value: bool) -> None:
        """In place of Textual's, which applies the whole style sheet anew: no rule asks for the focus here.

        What shows the focus is drawn; Textual repaints a widget that gets or loses it.
        """

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._bare_lines.forget_background()
        self._on_screen.clear()


def _differ(drawn: Strip, before: Strip | None) -> bool:
    return drawn is not before and drawn != before
