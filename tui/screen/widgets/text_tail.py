"""A scrolling text that follows its end while more arrives: for streaming answers and logs."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from tui.client.wire_text import wrap
from tui.screen.frames.row_strips import RowStrips
from tui.screen.styled_line import Line, broken, wrapped
from tui.screen.widgets.strip_view import StripView

KEEP = 20_000  # screen lines
_BLANK: Line = []


class TextTail(StripView, can_focus=True):
    """Pieces of text, each with a style, in screen lines.

    An added piece wraps only the last screen line again, so its cost does not grow with the length of the
    text. At its end the widget follows new text; scrolled up it stays, and `pending` counts the lines below.
    Below the text there may be a draft: lines that are replaced as a whole until their text is known.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False),
        Binding("down,j", "scroll_down", "Down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home,g", "scroll_home", "Start", show=False),
        Binding("end,G", "scroll_end", "Follow", show=False),
    ]
    DEFAULT_CSS = "TextTail { height: 1fr; }"

    class Moved(Message):
        """The widget started or stopped following."""

    def __init__(self, *, empty: Sequence[Line] = (), id: str | None = None) -> None:
        super().__init__(id=id)
        self.empty = empty
        self._pieces: deque[tuple[str, str]] = deque()  # text, style: to wrap again at another width
        self._chars = 0
        self._lines: deque[Line] = deque()
        self._draft: Sequence[Line] = ()
        self._draft_lines: list[Line] = []
        self._open: Line | None = None  # the last of `_lines`, while no newline has ended it
        self._follow = True
        self._is_finished = False  # a text that is shown from its top
        self._seen = 0  # lines when following stopped
        self._wrapped_at = 0
        self._strips = RowStrips()

    # -- text ---------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Start empty, following; the scroll bar follows with the next text, or with `sync`."""
        self._pieces.clear()
        self._chars = 0
        self._draft, self._draft_lines = (), []
        self._reset()
        self.scroll_to(y=0, animate=False, force=True)
        self._follow, self._is_finished = True, False  # after that: it went up from the end of the old text

    def add(self, pieces: Sequence[tuple[str, str]]) -> None:
        """Append texts (of `block_text` kind), each with its style."""
        if not pieces:
            return
        self._draft, self._draft_lines = (), []
        for text, style in pieces:
            self._pieces.append((text, style))
            self._chars += len(text)
            self._wrap(text, style)
        while len(self._pieces) > KEEP:
            self._chars -= len(self._pieces.popleft()[0])
        self._settle()

    def set_draft(self, lines: Sequence[Line]) -> None:
        """Show `lines` below the text; more text takes their place."""
        if lines != self._draft:
            self._draft = lines
            self._wrap_draft()
            self._settle()

    def _wrap_draft(self) -> None:
        cells = max(1, self._wrapped_at - 3)
        self._draft_lines = [part for line in self._draft for part in wrap_line(line, cells)]

    def show_from_top(self, pieces: Sequence[tuple[str, str]]) -> None:
        """Replace the text by a finished one and show its beginning."""
        self.clear()
        self._follow, self._is_finished = False, True
        self.add(pieces)
        self.sync()

    @property
    def text(self) -> str:
        """The whole text, the draft included, without wrapping."""
        lines = "".join("\n" + "".join(text for text, _ in line) for line in self._draft)
        return "".join(text for text, _ in self._pieces) + lines

    @property
    def following(self) -> bool:
        """Whether the end is visible and stays visible."""
        return self._follow

    @property
    def pending(self) -> int:
        """The number of lines that arrived since the user scrolled up."""
        return 0 if self._follow else max(0, self._total - self._seen)

    @property
    def _total(self) -> int:
        return len(self._lines) + len(self._draft_lines)

    def _reset(self) -> None:
        self._lines.clear()
        self._open = None
        self._wrapped_at = self.size.width or self._wrapped_at  # hidden it has none, and comes back as it was

    def _wrap(self, text: str, style: str) -> None:
        for number, part in enumerate(text.split("\n")):
            if number:
                self._open = None
            self._extend(part, style)
        while len(self._lines) > KEEP:
            self._lines.popleft()

    def _extend(self, text: str, style: str) -> None:
        if self._open is not None and self._lines:
            self._lines.pop()
        wrapped = wrap_line([*(self._open or []), (text, style)], max(1, self._wrapped_at - 3))
        self._lines.extend(wrapped)
        # More text cannot change the line breaks before the last screen line.
        self._open = wrapped[-1]

    def _settle(self) -> None:
        self.resize_content(self._total)
        if not (self._follow or self._is_finished) and self.size.height and self.at_end:  # all of it fits now
            self._follow = True
            self.post_message(self.Moved())
        if self._follow:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        super().sync()

    def sync(self) -> None:
        self.resize_content(self._total)
        super().sync()

    # -- drawing ------------------------------------------------------------------------------------------

    def line_at(self, y: int) -> Strip:
        if not self._total:
            told = wrapped(self.empty, self.size.width - 3)
            line: Line = told[y - 1] if 0 < y <= len(told) else []
            return self.theme_styles.strip([("  ", ""), *line], self.size.width)
        index = round(self.scroll_y) + y
        line = _BLANK
        if index < len(self._lines):
            line = self._lines[index]
        elif index < self._total:
            line = self._draft_lines[index - len(self._lines)]
        width = self.size.width
        return self._strips.get(
            line, (width,), None, lambda: self.theme_styles.strip([("  ", ""), *line], width)
        )

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()

    def fit(self) -> None:
        if self.size.width != self._wrapped_at:
            self._reset()
            for text, style in self._pieces:
                self._wrap(text, style)
            self._wrap_draft()
        self._settle()

    def action_scroll_up(self) -> None:
        if self.scroll_y <= 0:
            self.scroll_around(-1)
        super().action_scroll_up()

    def action_scroll_down(self) -> None:
        if self.at_end:
            self.scroll_around(1)
        super().action_scroll_down()

    def action_newest(self) -> None:
        """Show the end, and follow."""
        self.scroll_end(animate=False, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self.outer_size and self.at_end != self._follow:
            self._follow = self.at_end
            self._seen = self._total
            self.post_message(self.Moved())


def wrap_line(spans: Line, cells: int) -> list[Line]:
    """One logical line of spans in screen lines of at most `cells` cells (`tui.client.wire_text.wrap`)."""
    return broken(spans, wrap("".join(text for text, _ in spans), cells))
