"""The tool calls of one session, the newest first: what it has done so far."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult

from proxy.filters.matching import file_of
from tui.client.figures import clock, seconds
from tui.client.records import ToolRecord
from tui.client.wire_text import line_text, within
from tui.screen.calls.call_words import call_words
from tui.screen.frames.ground import Stack
from tui.screen.panes.pane import list_note, paragraphs
from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.line_table import LineTable


def _end(call: ToolRecord) -> Line:
    if call.answered is None:
        return [("…", "muted")]
    return [("✗", "bad") if call.is_error else ("✓", "ok")]


class CallFeed(Stack):
    """A list of calls; opening one posts `LineTable.Opened`."""

    def __init__(self) -> None:
        super().__init__(id="feed")
        self._folder = ""
        self._of: tuple[Sequence[ToolRecord], str] = ((), "")

    def compose(self) -> ComposeResult:
        yield Heading("Calls", id="feed-heading")
        yield LineTable[ToolRecord](
            (
                Column("TIME", lambda row, now, cells: [(clock(row.time), "muted")], 8),
                Column("CALL", lambda row, now, cells: self._call(row, cells), 30, least=16, grow=1),
                Column("END", lambda row, now, cells: _end(row), 3),
                Column("TOOK", lambda row, now, cells: [(seconds(row.duration_s), "muted")], 6, "right"),
            ),
            key=lambda row: row.id,
            newest_first=True,
            empty=paragraphs("The tool calls of the selected session appear here."),
            id="calls",
        )

    @property
    def calls(self) -> LineTable[ToolRecord]:
        """The list."""
        return self.query_one("#calls", LineTable)

    def show(self, calls: Sequence[ToolRecord], session: str, folder: str, now: float, *, gone: bool) -> None:
        """Show those of `calls` that are of `session`; paths in `folder` are named without it.

        With a host that is `gone` no call comes any more.
        """
        table = self.calls
        if self._folder != folder:
            self._folder = folder
            table.clear_drawn()
        if self._of[0] is calls and self._of[1] == session:
            table.show(table.everything, now)
        else:
            anew = self._of[1] != session
            self._of = (calls, session)
            table.show([call for call in reversed(calls) if call.session == session], now, anew=anew)
        self.query_one("#feed-heading", Heading).set_text(None, list_note(table, "home", gone=gone))

    def _call(self, call: ToolRecord, cells: int) -> Line:
        about = within(call.arguments, self._folder)
        file = within(line_text(file_of(call.input), 400), self._folder)
        return call_words(call.name, about, file, cells)
