"""A long document as collapsible blocks: only open blocks are wrapped, only visible lines are drawn."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip

from tui.client.figures import plural
from tui.screen.keymap import key_of
from tui.screen.styled_line import Line, plain_text, spread
from tui.screen.widgets.block_layout import (
    MOST_MATCHES,
    Block,
    BodyLayout,
    lay_out_body,
    marked,
    matches_in,
    prose_line,
    searched,
)
from tui.screen.widgets.strip_view import StripView

INDENT = 4
_KEY = re.compile(r'^(\s*)("(?:[^"\\]|\\.)*")(:)')
_MATCH, _MATCH_HERE = "underline bold", "reverse bold"


@dataclass(frozen=True)
class _Match:
    """A place of the searched text: in a block's title, or at these characters of its body."""

    block: int
    begin: int
    end: int
    in_title: bool = False


class CollapsibleBlocks(StripView, can_focus=True):
    """Blocks with a cursor line; `enter` opens or closes the block at the cursor."""

    IGNORED = (events.Show,)
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
        self._bodies: dict[tuple[int, bool], BodyLayout] = {}
        self._height = 0
        self._laid_out_for = 0  # cells; 0: its width is not known yet
        self._cursor = 0
        self._query = ""
        self._matches: list[_Match] = []
        self._in_block: dict[tuple[int, bool], list[_Match]] = {}  # in order, those of titles (True) apart
        self._match = 0

    def show(self, blocks: Sequence[Block]) -> None:
        """Replace the blocks and show the beginning, or the block that the reader begins at."""
        self._blocks = blocks
        self._open = [block.open for block in blocks]
        self._bodies.clear()
        self._shown, self._starts, self._height = [], [], 0
        self._cursor, self._laid_out_for = 0, 0
        self.search("")
        if self.size.width:  # else once it is known: a body of megabytes is wrapped once
            self._begin()

    def _begin(self) -> None:
        self._laid_out_for = self.size.width
        self._arrange()
        self.scroll_to(y=0, animate=False, force=True)
        here = next((index for index, block in enumerate(self._blocks) if block.here), None)
        if here in self._shown:
            self._cursor = self._starts[self._shown.index(here)]
            self.scroll_to(y=max(0, self._cursor - 2), animate=False, force=True)
        self.refresh()

    def redraw(self, blocks: Sequence[Block]) -> None:
        """Replace the blocks by those of the same document, of which more is known; what is open stays."""
        if len(blocks) != len(self._blocks):
            self.show(blocks)
            return
        self._blocks = blocks
        self._bodies.clear()
        if self._laid_out_for:
            self._arrange()
            self.refresh()

    @property
    def current(self) -> Block | None:
        """The block at the cursor."""
        return self._blocks[self._shown[self._block_at(self._cursor)]] if self._shown else None

    @property
    def to_read(self) -> Block | None:
        """The block at the cursor, or the first below it that has a body."""
        below = self._shown[self._block_at(self._cursor) :] if self._shown else ()
        return next((self._blocks[index] for index in below if self._blocks[index].body), None)

    def toggle(self) -> bool:
        """Open or close the block at the cursor, whose title the cursor moves to; False: it cannot be."""
        if not self._shown:
            return False
        place = self._block_at(self._cursor)
        index = self._shown[place]
        if not self._folds(index):
            return False
        self._open[index] = not self._open[index]
        self._cursor = self._starts[place]
        self._arrange()
        self._reveal()
        self.refresh()
        return True

    def _folds(self, index: int) -> bool:
        """Whether the block looks different open and closed, and its title is left to open it by."""
        block = self._blocks[index]
        if not block.title or not block.body:
            return bool(block.title) and block.level == 0
        return not block.preview or bool(lay_out_body(block, self._cells(block), whole=False).more)

    def toggle_all(self) -> bool:
        """Open all blocks, or close all if all are open; False: none can be."""
        if foldable := bool(self._shown) and any(block.title for block in self._blocks):
            current = self._shown[self._block_at(self._cursor)]
            every = not all(self._open)
            self._open = [every or not block.title for block in self._blocks]
            self._arrange()
            place = self._shown.index(current) if current in self._shown else 0
            self._cursor = self._starts[place]
            self._reveal()
            self.refresh()
        return foldable

    @property
    def text(self) -> str:
        """All blocks as text, whether they are open or not."""
        parts = []
        for block in self._blocks:
            title = plain_text([*block.title, ("  " + block.note if block.note else "", "")])
            parts += [part for part in (title, block.text_at(self._cells(block)), "") if part or block.body]
        return "\n".join(parts).rstrip("\n") + "\n" if parts else ""

    # -- search -------------------------------------------------------------------------------------------

    @property
    def found(self) -> tuple[int, int]:
        """Which match the cursor is at, from 1 on, and how many there are."""
        return (self._match + 1 if self._matches else 0, len(self._matches))

    def search(self, query: str) -> None:
        """Mark where this text stands, in any case, and go to the first place from the cursor on."""
        self._query, self._match = query, 0
        self._find_matches()
        if self._matches and self._shown:
            here = self._shown[self._block_at(self._cursor)]
            self._match = min(
                bisect_left(self._matches, here, key=lambda match: match.block), len(self._matches) - 1
            )
            self._go_to_match()
        self.refresh()

    def step_match(self, step: int) -> None:
        """Go to the next or previous match; behind the last one the first."""
        if self._matches and self._shown:
            self._match = (self._match + step) % len(self._matches)
            self._go_to_match()

    def _find_matches(self) -> None:
        self._matches, self._in_block = [], {}
        if not self._query:
            return
        pattern = searched(self._query)
        for index, block in enumerate(self._blocks):
            room = MOST_MATCHES - len(self._matches)
            for in_title in (True, False):
                text = plain_text(block.title) if in_title else block.text_at(self._cells(block))
                found = [_Match(index, *place, in_title) for place in matches_in(text, pattern, room)]
                if found:
                    self._in_block[index, in_title] = found
                    self._matches += found
        del self._matches[MOST_MATCHES:]

    def _go_to_match(self) -> None:
        match = self._matches[self._match]
        block = self._blocks[match.block]
        if not match.in_title:
            self._open[match.block] = True
        if block.level:
            parents = (index for index in range(match.block, -1, -1) if self._blocks[index].level == 0)
            self._open[next(parents, 0)] = True
        self._arrange()
        line = self._starts[self._shown.index(match.block)]
        if not match.in_title:
            inner = bisect_right(self._body(match.block).starts, match.begin) - 1
            line += self._title_lines(match.block) + inner
        self._cursor = line
        top, height = round(self.scroll_y), max(1, self.size.height)
        if not top <= line < top + height - 1:
            self.scroll_to(y=max(0, line - height // 3), animate=False, force=True)
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
            body = 0
            if block.body and (self._open[index] or block.preview):
                layout = self._body(index)
                # A blank line after a body keeps it apart from the next title.
                body = len(layout.lines) + bool(layout.more) + 1
            line += self._title_lines(index) + body
        self._height = line
        self.resize_content(line)

    def _title_lines(self, index: int) -> int:
        return 1 if self._blocks[index].title else 0

    def _cells(self, block: Block) -> int:
        return max(8, self.size.width - INDENT - 2 - 2 * block.level)

    def _body(self, index: int) -> BodyLayout:
        key = (index, self._open[index])
        if key not in self._bodies:
            block = self._blocks[index]
            self._bodies[key] = lay_out_body(block, self._cells(block), whole=key[1])
        return self._bodies[key]

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
        number = line - self._starts[place] - self._title_lines(index)
        if number < 0:
            whole = self._open[index] or (block.preview and not self._body(index).more)
            sign = ("▾ " if whole else "▸ ") if block.body or block.level == 0 else "  "
            found = self._in_block.get((index, True), [])
            title: Line = [(indent + sign, "accent"), *marked(block.title, self._styled(found, 0))]
            note: Line = [(block.note + " ", "muted")] if block.note else []
            return spread(title, note, self.size.width - 2)
        layout = self._body(index)
        pad = (indent + " " * (INDENT - 1), "")
        if number == len(layout.lines) and layout.more:
            return [
                pad,
                (f"… {plural(layout.more, 'more line')}", "dim"),
                (f"   {key_of('trace.fold')}", "accent dim"),
            ]
        if number >= len(layout.lines):
            return []
        part = layout.lines[number]
        shown = part if not isinstance(part, str) else _text_line(block, layout, number, part)
        return [pad, *self._with_matches(index, number, layout, shown)]

    def _with_matches(self, index: int, number: int, layout: BodyLayout, line: Line) -> Line:
        found = self._in_block.get((index, False))
        if not found:
            return line
        start = layout.starts[number]
        end = start + len(plain_text(line))
        first = max(0, bisect_right(found, start, key=lambda match: match.end))
        last = bisect_left(found, end, key=lambda match: match.begin)
        return marked(line, self._styled(found[first:last], start))

    def _styled(self, found: Sequence[_Match], start: int) -> list[tuple[int, int, str]]:
        here = self._matches[self._match] if self._matches else None
        return [
            (match.begin - start, match.end - start, _MATCH_HERE if match is here else _MATCH)
            for match in found
        ]

    def fit(self) -> None:
        """Lay it out in another width, and keep the cursor in sight."""
        if not self.size.width:
            return
        if not self._laid_out_for:
            self._begin()
        elif self.size.width != self._laid_out_for:
            self._laid_out_for = self.size.width
            self._bodies.clear()
            self._find_matches()
            self._match = min(self._match, max(0, len(self._matches) - 1))
            self._arrange()
            self._cursor = min(self._cursor, max(0, self._height - 1))
        self._reveal()
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
            place = self._block_at(line)
            if line == self._starts[place] and self._title_lines(self._shown[place]):
                self.toggle()


def _text_line(block: Block, layout: BodyLayout, number: int, text: str) -> Line:
    match block.kind:
        case "json":
            return highlighted(text)
        case "prose":
            return [(text, "lane.main")] if layout.code[number] else prose_line(text, block.style)
    return [(text, block.style)]


def highlighted(line: str) -> Line:
    """One line of indented JSON with its key in another style."""
    match = _KEY.match(line)
    if match is None:
        return [(line, "")]
    return [(match[1], ""), (match[2], "lane.main"), (match[3], "dim"), (line[match.end() :], "")]
