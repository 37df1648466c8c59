"""The log as a list: level and source of each line, a search that jumps, and the way to the next error."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from textual.message import Message

from tui.client.figures import clock
from tui.client.records import LogLine
from tui.screen.styled_line import Line, fit
from tui.screen.widgets.columns import Column
from tui.screen.widgets.line_table import LineTable

# Levels that a filter lets through, by its name; the first is no filter.
FILTERS: tuple[tuple[str, frozenset[str]], ...] = (
    ("", frozenset({"debug", "info", "warning", "error"})),
    ("errors", frozenset({"error"})),
    ("warnings and errors", frozenset({"warning", "error"})),
)
# A word as well as a colour: what has weight is in capitals.
_WORDS = {"error": ("ERROR", "bad bold"), "warning": ("WARN", "warn"), "info": ("info", "muted")}
_TEXTS = {"error": "bad", "warning": "warn", "debug": "dim"}
_SOURCES = {"engine": "muted", "host": "accent", "upstream": "tool"}


class LogTable(LineTable[LogLine]):
    """Lines of the log, newest last; `searched` is what is being looked for."""

    class Shifted(Message):
        """The user wants the moment of the timeline to move."""

        def __init__(self, steps: int) -> None:
            super().__init__()
            self.steps = steps

    def __init__(self, *, id: str | None = None) -> None:
        self.searched = ""
        self.levels = 0  # which of `FILTERS`
        self._lines: Sequence[LogLine] = ()
        self._shown_of: tuple[Sequence[LogLine], int] | None = None
        columns: Sequence[Column[LogLine]] = (
            Column("TIME", lambda line, now, cells: [(clock(line.time), "dim")], 8, rank=3),
            Column(
                "LEVEL", lambda line, now, cells: [_WORDS.get(line.level, (line.level, "dim"))], 5, rank=1
            ),
            Column("FROM", lambda line, now, cells: [(line.source, _SOURCES[line.source])], 8, rank=2),
            Column("LINE", self._text_cell, 20, grow=1),
        )
        super().__init__(columns, key=_key, id=id)

    def show_log(self, lines: Sequence[LogLine], now: float) -> None:
        """Show those of `lines` that the level filter lets through."""
        if self._shown_of != (lines, self.levels) or self._lines is not lines:
            self._lines, self._shown_of = lines, (lines, self.levels)
            wanted = FILTERS[self.levels][1]
            kept = lines if not self.levels else tuple(line for line in lines if line.level in wanted)
            self.show(kept, now)
        else:
            self.show(self.everything, now)

    @property
    def hidden(self) -> int:
        """Lines that the level filter leaves out."""
        return len(self._lines) - self.total

    def next_levels(self) -> None:
        """The next level filter; the newest line that it shows is selected."""
        self.levels = (self.levels + 1) % len(FILTERS)
        self.show_log(self._lines, self._now)
        self.select(self.total - 1)

    def search(self, words: str) -> bool:
        """Look for a text from here up, the newest first; whether there is one. Empty: look for nothing."""
        self.searched = words.lower()
        self.clear_drawn()
        return self.step(self.matches, older=True, here=True) if words else True

    def matches(self, line: LogLine) -> bool:
        """Whether a line has what is looked for."""
        return bool(self.searched) and self.searched in f"{line.source} {line.text} {line.request}".lower()

    @property
    def found(self) -> int:
        """How many lines have what is looked for."""
        return sum(self.matches(line) for line in self.rows if line is not None)

    def step(self, fits: Callable[[LogLine], bool], *, older: bool, here: bool = False) -> bool:
        """Select the next line that fits, from here on and around the end; whether there is one."""
        rows, count = self.rows, len(self.rows)
        way = -1 if older else 1
        begin = self.cursor if here else self.cursor + way
        for number in range(count):
            index = (begin + way * number) % count
            line = rows[index]
            if line is not None and fits(line):
                self.select(index)
                return True
        return False

    def select_before(self, moment: float) -> None:
        """Select the last line up to a moment."""
        if self.rows:
            times = [line.time if line is not None else 0.0 for line in self.rows]
            self.select(max(0, bisect_right(times, moment) - 1))

    def _text_cell(self, line: LogLine, now: float, cells: int) -> Line:
        style = _TEXTS.get(line.level, "")
        if not self.matches(line):
            return [(line.text, style)]
        return fit(_marked(line.text, self.searched, style), cells)

    def action_scroll_left(self) -> None:
        """The moment before in the timeline."""
        self.post_message(self.Shifted(-1))

    def action_scroll_right(self) -> None:
        """The moment after in the timeline."""
        self.post_message(self.Shifted(1))

    def action_open(self) -> None:
        """Ask what happened; of a moment there is something to tell without a line as well."""
        self.post_message(self.Opened(self))


def _marked(text: str, searched: str, style: str) -> Line:
    """The text with each occurrence of what is looked for in reverse."""
    line: Line = []
    low, at = text.lower(), 0
    if len(low) != len(text):  # a letter whose small form is two
        return [(text, style)]
    while (found := low.find(searched, at)) >= 0:
        line += [(text[at:found], style), (text[found : found + len(searched)], f"{style} reverse".strip())]
        at = found + len(searched)
    return [span for span in [*line, (text[at:], style)] if span[0]]


def _key(line: LogLine) -> str:
    return f"{line.time:.3f} {line.source} {line.text[:80]}"
