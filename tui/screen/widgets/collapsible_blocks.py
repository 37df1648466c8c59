"""A long document as collapsible blocks: only open blocks are wrapped, only visible lines are drawn."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip

from tui.client.wire_text import wrap
from tui.screen.styled_line import Line, spread
from tui.screen.widgets.strip_view import StripView

INDENT = 4
_KEY = re.compile(r'^(\s*)("(?:[^"\\]|\\.)*")(:)')


@dataclass(frozen=True)
class Block:
    """One block: a title, a note at the right end, and a body that is visible while the block is open.

    The body is text (of `block_text` kind), or a function from a width to lines. A block of level 1 is
    visible while the block of level 0 before it is open.
    """

    title: Line
    body: str | Callable[[int], list[Line]] = ""
    note: str = ""
    kind: Literal["text", "json"] = "text"
    open: bool = False
    level: int = 0


class CollapsibleBlocks(StripView, can_focus=True):
    """Blocks with a cursor line; `enter` opens or closes the block at the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(0)", "Start", show=False),
        Binding("end,G", "edge(-1)", "End", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._blocks: Sequence[Block] = ()
        self._open: list[bool] = []
        self._shown: list[int] = []  # visible blocks
        self._starts: list[int] = []  # the line of each visible block's title
        self._bodies: dict[int, list[str] | list[Line]] = {}
        self._height = 0
        self._cursor = 0

    def show(self, blocks: Sequence[Block]) -> None:
        """Replace the blocks and show the beginning."""
        self._blocks = blocks
        self._open = [block.open for block in blocks]
        self._bodies.clear()
        self._cursor = 0
        self._arrange()
        self.scroll_to(y=0, animate=False, force=True)
        self.refresh()

    @property
    def current(self) -> Block | None:
        """The block at the cursor."""
        return self._blocks[self._shown[self._block_at(self._cursor)]] if self._shown else None

    def toggle(self) -> None:
        """Open or close the block at the cursor; the cursor moves to its title."""
        if not self._shown:
            return
        place = self._block_at(self._cursor)
        index = self._shown[place]
        self._open[index] = not self._open[index]
        self._cursor = self._starts[place]
        self._arrange()
        self._reveal()
        self.refresh()

    def toggle_all(self) -> None:
        """Open all blocks, or close all if all are open."""
        if self._blocks:
            current = self._shown[self._block_at(self._cursor)]
            self._open = [not all(self._open)] * len(self._blocks)
            self._arrange()
            place = self._shown.index(current) if current in self._shown else 0
            self._cursor = self._starts[place]
            self._reveal()
            self.refresh()

    # -- arrangement --------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        self._shown, self._starts = [], []
        line, hidden = 0, False
        for index, block in enumerate(self._blocks):
            if block.level == 0:
                hidden = not self._open[index]
            elif hidden:
                continue
            self._shown.append(index)
            self._starts.append(line)
            # A blank line after an open body keeps it apart from the next title.
            body = len(self._body(index)) + 1 if self._open[index] and block.body else 0
            line += 1 + body
        self._height = line
        self.resize_content(line)

    def _body(self, index: int) -> list[str] | list[Line]:
        if index not in self._bodies:
            body = self._blocks[index].body
            cells = max(8, self.size.width - INDENT - 2 - 2 * self._blocks[index].level)
            self._bodies[index] = (
                [part for line in body.split("\n") for part in wrap(line, cells)]
                if isinstance(body, str)
                else body(cells)
            )
        return self._bodies[index]

    def _block_at(self, line: int) -> int:
        return max(0, bisect_right(self._starts, line) - 1)

    # -- drawing ------------------------------------------------------------------------------------------

    def line_at(self, y: int) -> Strip:
        line = round(self.scroll_y) + y
        if line >= self._height or not self._shown:
            return self.theme_styles.strip([], self.size.width)
        at_cursor = line == self._cursor and self.has_focus
        mark: Line = [("▌" if at_cursor else " ", "accent")]
        drawn = self._drawn(line)
        return self.theme_styles.strip([*mark, *drawn], self.size.width, "on-selected" if at_cursor else "")

    def _drawn(self, line: int) -> Line:
        place = self._block_at(line)
        index = self._shown[place]
        block = self._blocks[index]
        indent = "  " * block.level
        if line == self._starts[place]:
            sign = ("▾ " if self._open[index] else "▸ ") if block.body or block.level == 0 else "  "
            title: Line = [(indent + sign, "accent"), *block.title]
            note: Line = [(block.note + " ", "muted")] if block.note else []
            return spread(title, note, self.size.width - 2)
        body = self._body(index)
        number = line - self._starts[place] - 1
        if number >= len(body):
            return []
        part = body[number]
        pad = (indent + " " * (INDENT - 1), "")
        if not isinstance(part, str):
            return [pad, *part]
        return [pad, *(highlighted(part) if block.kind == "json" else [(part, "")])]

    def on_resize(self, event: events.Resize) -> None:
        self._bodies.clear()
        self._arrange()
        self._cursor = min(self._cursor, max(0, self._height - 1))
        self._reveal()
        self.refresh()

    def watch_has_focus(self, value: bool) -> None:
        super().watch_has_focus(value)
        self.refresh()

    # -- moving -------------------------------------------------------------------------------------------

    def _go(self, line: int) -> None:
        self._cursor = min(max(0, line), max(0, self._height - 1))
        self._reveal()
        self.sync()

    def _reveal(self) -> None:
        top, height = round(self.scroll_y), max(1, self.size.height)
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False, force=True)
        elif self._cursor >= top + height:
            self.scroll_to(y=self._cursor - height + 1, animate=False, force=True)

    def action_move(self, lines: int) -> None:
        """Move the cursor line."""
        self._go(self._cursor + lines)

    def action_page(self, pages: int) -> None:
        """Move the cursor by one screen."""
        self._go(self._cursor + pages * max(1, self.size.height - 1))

    def action_edge(self, end: int) -> None:
        """Move the cursor to the first or last line."""
        self._go(0 if end == 0 else self._height - 1)

    def on_click(self, event: events.Click) -> None:
        line = round(self.scroll_y) + event.y
        if line < self._height:
            self._go(line)
            if line == self._starts[self._block_at(line)]:
                self.toggle()


def highlighted(line: str) -> Line:
    """One line of indented JSON with its key in another style."""
    match = _KEY.match(line)
    if match is None:
        return [(line, "")]
    return [(match[1], ""), (match[2], "lane.main"), (match[3], "dim"), (line[match.end() :], "")]
