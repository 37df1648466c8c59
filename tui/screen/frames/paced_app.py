"""The part of the app that writes frames: changed cells alone, within a budget of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.color import ColorSystem
from rich.console import RenderableType
from rich.control import Control
from textual import events
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual._styles_cache import StylesCache
from textual.await_complete import AwaitComplete
from textual.screen import Screen
from textual.strip import Strip

from tui.screen.frames.frame_budget import FrameBudget
from tui.screen.frames.terminal_cells import TerminalCells
from tui.screen.keys.keys_in_order import KeysInOrder
from tui.screen.output_redirect import is_writing

_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"  # a synchronized update, which no terminal shows in part


class PacedApp(KeysInOrder):
    """Writes less than Textual does for the same picture; what is on the terminal is the same."""

    def __init__(self) -> None:
        super().__init__()
        self.frame_budget = FrameBudget()
        self._cells = TerminalCells(0, 0)

    @property
    def is_behind(self) -> bool:
        """Whether the terminal has not taken what was drawn before: a slow link."""
        writer = getattr(self._driver, "_writer_thread", None)
        return writer is not None and (not writer._queue.empty() or is_writing(writer._file))

    def forget_terminal(self) -> None:
        """Write the next frames in full: the terminal may show something else than was written."""
        self._cells.forget()

    def on_mount(self) -> None:
        # After an editor had the terminal, or the shell while this process was stopped.
        self.app_resume_signal.subscribe(self, lambda app: self.action_redraw())

    def pop_screen(self) -> AwaitComplete:
        """Close the screen on top, and keep nothing of it.

        Textual caches two colours for each of the last 1,024 widgets, and with them the lines that these have
        drawn: some 100 MB once a few hundred screens have been opened.
        """
        closed = super().pop_screen()
        StylesCache.get_inner_outer.cache_clear()
        return closed

    def on_resize(self, event: events.Resize) -> None:
        self.forget_terminal()

    def action_redraw(self) -> None:
        """Draw everything again."""
        self.forget_terminal()
        self.screen.refresh(layout=True)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Textual's, but for what is written for an update of the compositor's."""
        driver = self._driver
        if renderable is None:
            super()._display(screen, renderable)
            return
        if not isinstance(renderable, ChopsUpdate | LayoutUpdate) or driver is None or driver.is_inline:
            self.forget_terminal()
            super()._display(screen, renderable)
            return
        try:
            if self._batch_count or not self._running or self._closed or self.is_headless:
                return
            size = self.screen.outer_size
            if (self._cells.width, self._cells.height) != size:
                self._cells = TerminalCells(*size)
            try:
                # As Textual does: without a colour system its filters have taken the colours out.
                colours = self.console._color_system or ColorSystem.TRUECOLOR
                written = self._cells.write(_pieces(renderable), colours)
            except Exception as error:
                self._handle_exception(error)
                return
            cursor = size.clamp_offset(self.cursor_position)
            if not written and cursor == self._previous_cursor_position:
                return
            self._previous_cursor_position = cursor
            written += Control.move_to(*cursor).segment.text
            if self._sync_available:
                written = f"{_BEGIN}{written}{_END}"
            self.frame_budget.wrote(len(written.encode(errors="replace")))
            driver.write(written)
            driver.flush()
        finally:
            self.post_display_hook()


def _pieces(update: ChopsUpdate | LayoutUpdate) -> Iterator[tuple[int, int, Strip]]:
    """Column, line and content of each part of the screen that an update draws."""
    if isinstance(update, LayoutUpdate):
        for y, strips in enumerate(update.strips, update.region.y):
            yield from _in_a_line(update.region.x, y, strips)
        return
    for y, start, end in update.spans:
        for ends, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x <= end and ends > start:
                yield x, y, strip if ends <= end else strip.crop(0, min(ends, end) - x)


def _in_a_line(x: int, y: int, strips: Iterable[Strip]) -> Iterator[tuple[int, int, Strip]]:
    for strip in strips:
        yield x, y, strip
        x += strip.cell_length
