"""A block of a long document, its body in screen lines, and where a text stands in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from tui.client.wire_text import wrap_lines
from tui.screen.reading.readable import Readable
from tui.screen.styled_line import Line, plain_text

Draw = Callable[[int], list[Line]]
_HEADING = re.compile(r"(#{1,6} )\S")
_BULLET = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)]) ")
_MARKS = re.compile(r"`[^`]+`|\*\*[^*]+\*\*")
_READ_CELLS = 100  # of a body that is drawn, where it is read
MOST_MATCHES = 10_000  # of one search; behind them nothing is counted


class LazyText:
    """A text that is made when it is first looked at."""

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make

    @cached_property
    def text(self) -> str:
        return self._make()


@dataclass(frozen=True)
class Block:
    """One block: a title, a note at the right end, and a body that is visible while the block is open.

    The body is text (of `block_text` kind), or a function from a width to lines. A closed block shows the
    first `preview` lines of it. A block without a title is its body alone. A block of level 1 is visible
    while the block of level 0 before it is open.
    """

    title: Line
    body: str | LazyText | Draw = ""
    note: str = ""
    kind: Literal["text", "json", "prose"] = "text"  # prose: Markdown, with its marks left in
    open: bool = False
    level: int = 0
    preview: int = 0
    style: str = ""  # of a body that is text
    here: bool = False  # where the reader begins
    source: Callable[[], Readable | None] | None = None  # what is read at length, if not the body

    @property
    def to_read(self) -> Readable:
        """The text that is read at length."""
        found = self.source() if self.source is not None else None
        language = {"json": "json", "prose": "markdown"}.get(self.kind, "")
        return found or Readable("", self.text_at(_READ_CELLS), language)

    def text_at(self, cells: int) -> str:
        """The whole body as text; one that is drawn, as it is drawn in so many cells."""
        if isinstance(self.body, str):
            return self.body
        if isinstance(self.body, LazyText):
            return self.body.text
        return "\n".join(plain_text(line) for line in self.body(cells))


@dataclass(frozen=True)
class BodyLayout:
    """A body in screen lines, and the text that they are of; `more` lines of it are left out of a preview."""

    lines: list[str] | list[Line]
    text: str = ""
    more: int = 0

    @cached_property
    def starts(self) -> list[int]:
        """The place in the text at which each line begins."""
        found, at = [], 0
        for line in self.lines:
            found.append(at)
            at += len(line) if isinstance(line, str) else len(plain_text(line))
            if at < len(self.text) and self.text[at] == "\n":
                at += 1
        return found

    @cached_property
    def code(self) -> list[bool]:
        """For each line whether it lies in a fence of code, in a text that is Markdown."""
        found, inside = [], False
        for line in self.lines:
            fence = isinstance(line, str) and line.lstrip().startswith("```")
            found.append(inside or fence)
            inside = inside != fence
        return found


def prose_line(text: str, style: str) -> Line:
    """A line of Markdown: its characters as they are, headings, bullets, code and stress in styles."""
    if heading := _HEADING.match(text):
        return [(heading[1], "accent"), (text[heading.end(1) :], "bold")]
    line: Line = []
    at = 0
    if bullet := _BULLET.match(text):
        line.append((bullet[0], "accent"))
        at = bullet.end()
    for mark in _MARKS.finditer(text, at):
        line.append((text[at : mark.start()], style))
        line.append((mark[0], "lane.main" if mark[0][0] == "`" else f"{style} bold".strip()))
        at = mark.end()
    return [*line, (text[at:], style)]


def lay_out_body(block: Block, cells: int, *, whole: bool) -> BodyLayout:
    """The screen lines of a block's body, or of its beginning.

    A beginning is wrapped alone: a body of megabytes costs what is shown of it.
    """
    if not block.body:
        return BodyLayout([])
    if not isinstance(block.body, str | LazyText):
        lines = block.body(cells)
        cut = len(lines) if whole or len(lines) <= block.preview + 1 else block.preview
        return BodyLayout(lines[:cut], "\n".join(map(plain_text, lines)), len(lines) - cut)
    text = block.body if isinstance(block.body, str) else block.body.text
    if whole:
        return BodyLayout(wrap_lines(text, cells), text)
    head = text[: (block.preview + 1) * cells]
    parts = wrap_lines(head, cells)
    if len(head) == len(text) and len(parts) <= block.preview + 1:
        return BodyLayout(parts, text)
    shown = BodyLayout(parts[: block.preview], text)
    place = shown.starts[-1] + len(shown.lines[-1]) if shown.lines else 0
    return BodyLayout(shown.lines, text, max(1, text.count("\n", place)))


def matches_in(text: str, pattern: re.Pattern[str], most: int = MOST_MATCHES) -> list[tuple[int, int]]:
    """Beginning and end of each place that fits, in order."""
    found: list[tuple[int, int]] = []
    for match in pattern.finditer(text):
        if len(found) == most:
            break
        found.append(match.span())
    return found


def searched(query: str) -> re.Pattern[str]:
    """What finds a text, whatever its case."""
    return re.compile(re.escape(query), re.IGNORECASE)


def marked(line: Line, places: list[tuple[int, int, str]]) -> Line:
    """A line in which these stretches of its text (begin, end, style) have a style more."""
    out: Line = []
    at = 0
    for text, style in line:
        cut = 0
        for begin, end, mark in places:
            first, last = max(begin - at, cut), min(end - at, len(text))
            if first >= last:
                continue
            if first > cut:
                out.append((text[cut:first], style))
            out.append((text[first:last], f"{style} {mark}".strip()))
            cut = last
        if cut < len(text):
            out.append((text[cut:], style))
        at += len(text)
    return out
