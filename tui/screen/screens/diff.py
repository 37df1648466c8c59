"""Two requests, segment by segment: where their prompts part, what that cost, and the text that differs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult

from tui.client.diff_text import MARKS, diff_sentence, segment_note
from tui.client.figures import count, day_and_clock, seconds
from tui.client.wire_text import line_text, shorten, wrap
from tui.screen.clipboard import copy
from tui.screen.keymap import bindings
from tui.screen.panes.traces import TracesPane
from tui.screen.screens.opened import OpenedScreen
from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.line_table import LineTable
from tui.screen.widgets.text_tail import TextTail

if TYPE_CHECKING:
    from proxy.traces.analysis.diff_facts import DiffFacts, SegmentFacts, Side

_STYLES = {"same": "muted", "changed": "bad", "only in A": "bad", "only in B": "ok"}
_LINES = {"+": "ok", "-": "bad", "@": "accent"}


class DiffScreen(OpenedScreen):
    """Compares the request `b` with `a`, or with the one before it."""

    place = "diff"
    BINDINGS = bindings("diff")

    def __init__(self, b: str, a: str, load: Callable[[str, str], Awaitable[DiffFacts]]) -> None:
        super().__init__()
        self._ids = (b, a)
        self._load = load
        self._found: DiffFacts | None = None
        self._problem = ""

    def content(self) -> ComposeResult:
        yield Canvas(self._head, id="diff-head")
        yield Heading("Segments", id="segments-heading")
        yield LineTable[tuple[int, "SegmentFacts"]](
            self._columns(), key=lambda row: str(row[0]), id="segments", newest_first=True
        )
        yield Heading("Difference", id="difference-heading")
        yield TextTail()

    @property
    def subject(self) -> str:
        return f"diff {self._ids}"

    @property
    def _table(self) -> LineTable[tuple[int, SegmentFacts]]:
        return self.query_one("#segments", LineTable)

    def on_mount(self) -> None:
        self._table.empty = [[("Comparing …", "muted")]]
        self._table.focus()
        self.run_worker(self._fetch(), name="diff", group="diff", exclusive=True, exit_on_error=False)

    async def _fetch(self) -> None:
        try:
            self._found = await self._load(*self._ids)
        except Exception as error:
            self._problem = line_text(str(error)) or type(error).__name__
        if not (self.is_attached and self.app.is_running):
            return
        if self._found is None:
            self._table.empty = [[(self._problem, "bad")]]
            self._table.refresh()
            return
        self._table.show(list(enumerate(self._found.segments)), 0.0)
        if self._found.first is not None:
            self._table.select(self._found.first)
        self._draw()

    @on(LineTable.Selected)
    def _draw(self) -> None:
        self.query_one("#diff-head", Canvas).paint()
        row = self._table.selected
        if row is None or self._found is None:
            return
        place, part = row
        note = segment_note(self._found, place)
        title: Line = [(line_text(part.name), "bold"), (f"  {note}" if note else "", "muted")]
        self.query_one("#difference-heading", Heading).set_text(title)
        self.query_one(TextTail).show_from_top(difference_pieces(part))

    # -- pure drawing -------------------------------------------------------------------------------------

    def _head(self, width: int, height: int) -> list[Line]:
        found = self._found
        if found is None:
            return [[(" diff", "accent bold")]]
        lines = [_side("A", found.a), _side("B", found.b)]
        return [*lines, *([(" " + part, "bold")] for part in wrap(diff_sentence(found), width - 2)[:2])]

    def _columns(self) -> tuple[Column[tuple[int, SegmentFacts]], ...]:
        return (
            Column("", lambda row, now, cells: [(MARKS[row[1].kind], _STYLES[row[1].kind])], 1),
            Column(
                "SEGMENT",
                lambda row, now, cells: [(shorten(line_text(row[1].name), cells), "")],
                30,
                least=16,
            ),
            Column("A ~", lambda row, now, cells: [_tokens(row[1].a_tokens)], 6, "right"),
            Column("B ~", lambda row, now, cells: [_tokens(row[1].b_tokens)], 6, "right"),
            Column("", lambda row, now, cells: [(self._note(row[0]), "muted")], 18, least=16, rank=2),
            Column(
                "PLACE IN B", lambda row, now, cells: self._bar(row[0], cells), 40, least=10, grow=1, rank=3
            ),
        )

    def _note(self, place: int) -> str:
        return segment_note(self._found, place) if self._found is not None else ""

    def _bar(self, place: int, cells: int) -> Line:
        """Where a segment stands in B's prompt, and whether it could be restored."""
        found = self._found
        if found is None:
            return []
        whole = sum(part.b_tokens for part in found.segments) or 1
        start = sum(part.b_tokens for part in found.segments[:place])
        begin = min(cells - 1, round(cells * start / whole))
        end = round(cells * (start + found.segments[place].b_tokens) / whole)
        if not found.segments[place].b_tokens:
            return []
        before = found.first is None or place < found.first
        sign, style = ("█", "restored") if before else ("▒", "prefill")
        return [(" " * begin, ""), (sign * max(1, end - begin), style)]

    # -- commands -----------------------------------------------------------------------------------------

    def action_trace(self) -> None:
        """Open the trace of B."""
        if self._found is not None:
            self.app.post_message(TracesPane.Opened(self._found.b.id))

    def action_next_change(self) -> None:
        """Select the next segment that differs; behind the last one the first."""
        if self._found is None:
            return
        changed = [place for place, part in enumerate(self._found.segments) if part.kind != "same"]
        if changed:
            further = [place for place in changed if place > self._table.cursor]
            self._table.select((further or changed)[0])

    def action_copy(self) -> None:
        """Copy the difference of the selected segment."""
        copy(self.app, self.query_one(TextTail).text, "difference")


def difference_pieces(part: SegmentFacts) -> list[tuple[str, str]]:
    """The lines of a segment that differs."""
    if part.kind == "same":
        return [("The same in both.", "muted")]
    pieces = [(line + "\n", _LINES.get(line[:1], "muted")) for line in part.lines]
    if part.left_out:
        pieces.append((f"… {part.left_out:,} more lines: anyclaude-tui traces diff has them all\n", "muted"))
    return pieces


def _side(name: str, side: Side) -> Line:
    took = f"first {seconds(side.ttft_s)}  took {seconds(side.took_s)}"
    return [
        (f" {name}  ", "accent bold"),
        (day_and_clock(side.time), ""),
        (f"  {line_text(side.session)[:6] or '-'}  {line_text(side.lane)}", "muted"),
        (f"  {side.prompt_tokens:,} tokens  {took}", "muted"),
    ]


def _tokens(number: int) -> tuple[str, str]:
    return (count(number), "") if number else ("·", "dim")
