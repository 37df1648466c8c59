"""Two requests, segment by segment: where their prompts part, what that cost, and the text that differs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import events, on
from textual.app import ComposeResult

from proxy.traces.analysis.comparing.comparable import NOTHING
from tui.client.differences.diff_text import MARKS, diff_sentence, segment_note
from tui.client.differences.rows import DiffRow, diff_rows
from tui.client.figures import clock, count, day_and_clock, plural, seconds
from tui.client.wire_text import line_text, shorten, shorten_middle, wrap
from tui.screen.choices.layouts import is_beside, keep_layout
from tui.screen.choices.own_command import own_command
from tui.screen.clipboard import copy
from tui.screen.keymap import bindings, key_of
from tui.screen.panes.pane import SHORT, TINY
from tui.screen.panes.traces import TracesPane
from tui.screen.screens.opened import OpenedScreen
from tui.screen.styled_line import Line, line_width
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.diff_view import DiffView
from tui.screen.widgets.in_background import in_background
from tui.screen.widgets.line_table import LineTable

if TYPE_CHECKING:
    from proxy.traces.analysis.comparing.diff_facts import DiffFacts, SegmentFacts, Side

_STYLES = {"same": "muted", "changed": "bad", "only in A": "bad", "only in B": "ok"}
# How the other request was chosen, if it is not the one before it in its session.
_CHOSEN = {"before": "", "alike": "no turn before: most alike", "next": "no turn before: the next one"}
_CALLS, _CALL_CELLS = 3, 28  # of an answer that are shown, and how much of each
WIDE, NARROW = (
    160,
    110,
)  # columns: from the first on both sides stand beside each other, below the second never


class DiffScreen(OpenedScreen):
    """Compares the request `b` with `a`, or with the one before it."""

    place = "diff"
    BINDINGS = bindings("diff")

    def __init__(self, b: str, a: str, load: Callable[[str, str], Awaitable[DiffFacts]]) -> None:
        super().__init__()
        self._asked = self._ids = (b, a)
        self._load = load
        self._found: DiffFacts | None = None
        self._chosen: tuple[str, str] = ("", "")  # the one that was chosen for the user, and how
        self._problem = ""
        self._drawn: SegmentFacts | None = None

    def content(self) -> ComposeResult:
        yield Canvas(self._head, id="diff-head")
        yield Heading("Segments", id="segments-heading")
        yield LineTable[tuple[int, "SegmentFacts"]](
            self._columns(), key=lambda row: str(row[0]), id="segments", newest_first=True
        )
        yield Heading("Difference", id="difference-heading")
        yield DiffView()
        yield Heading("Answers", id="answers-heading")
        yield Canvas(self._answers, id="answers")

    @property
    def subject(self) -> str:
        return f"diff {self._asked}"

    @property
    def request(self) -> str:
        return self._ids[0]

    @property
    def session(self) -> str:
        return self._found.b.session if self._found is not None else ""

    @property
    def _table(self) -> LineTable[tuple[int, SegmentFacts]]:
        return self.query_one("#segments", LineTable)

    def on_mount(self) -> None:
        self._table.empty = [[("Comparing …", "muted")]]
        self._table.focus(scroll_visible=False)
        in_background(self, "diff", self._fetch)

    async def _fetch(self, *, sort: bool = True) -> None:
        shown, self._problem = self._found, ""
        try:
            found = await self._load(*self._ids)
            if found.chosen is not None:
                self._chosen = (found.a.id, _CHOSEN[found.chosen])
            self._ids = (found.b.id, found.a.id)
            if sort and found.a.time > found.b.time:  # the cost is that of the later one
                self._ids = (found.a.id, found.b.id)
                found = await self._load(*self._ids)
            self._found = found
        except Exception as error:
            self._problem = line_text(str(error)) or type(error).__name__
        if not (self.is_attached and self.app.is_running):
            return
        if self._found is None:
            self._table.empty = [[(self._problem, "bad")], *_ways_on(self._problem)]
            self._table.styles.min_height = 1 + len(self._table.empty)
            self._table.refresh()
            return
        if shown is not None and self._problem:  # what is shown stays
            self._ids = (shown.b.id, shown.a.id)
            self.app.notify(self._problem, severity="warning", timeout=5, markup=False)
            return
        self._table.show(list(enumerate(self._found.segments)), 0.0)
        if self._found.first is not None:
            self._table.select(self._found.first)
        self._draw()

    def row_selected(self, table: LineTable[Any]) -> None:
        self._draw()

    def _draw(self) -> None:
        self.query_one("#diff-head", Canvas).paint()
        self.query_one("#answers", Canvas).paint()
        row = self._table.selected
        if row is None or self._found is None:
            return
        place, part = row
        note = segment_note(self._found, place)
        title: Line = [(line_text(part.name), "bold"), (f"  {note}" if note else "", "muted")]
        self.query_one("#difference-heading", Heading).set_text(title)
        if part is not self._drawn:  # else it begins anew, and the present difference is lost
            self._drawn = part
            self._view.show(difference_rows(part), beside=self._is_beside, titles=self._titles)
        self._draw_note()

    @on(DiffView.Moved)
    def _draw_note(self) -> None:
        """Which difference is the present one, and the key for the other way to see it."""
        place, number = self._view.place
        note: Line = [(f"{place} of {plural(number, 'difference')}  ", "muted")] if number else []
        if self._part is not None and self._part.kind == "changed" and self.size.width >= NARROW:
            other = "one below the other" if self._is_beside else "side by side"
            key = key_of("diff.turn_sides")
            note += [(f"{key} ", "accent @screen.turn_sides"), (other, "muted @screen.turn_sides")]
        self.query_one("#difference-heading", Heading).set_text(note=note)

    @property
    def _view(self) -> DiffView:
        return self.query_one(DiffView)

    @property
    def _part(self) -> SegmentFacts | None:
        row = self._table.selected
        return row[1] if row is not None else None

    @property
    def _is_beside(self) -> bool:
        """Whether both sides stand beside each other; a segment of one side has nothing beside it."""
        is_changed = self._part is not None and self._part.kind == "changed"
        return is_changed and is_beside(self.app, "diff", self.size.width, wide=WIDE, narrow=NARROW)

    @property
    def _titles(self) -> tuple[str, str]:
        if self._found is None:
            return "", ""
        return f"A  {clock(self._found.a.time)}", f"B  {clock(self._found.b.time)}"

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.height < SHORT, "short")
        self.set_class(event.size.height < TINY, "tiny")
        if self._found is not None:
            self._view.turn(beside=self._is_beside, titles=self._titles)
            self._draw_note()

    # -- pure drawing -------------------------------------------------------------------------------------

    def _head(self, width: int, height: int) -> list[Line]:
        found = self._found
        if found is None:
            return [[(" diff", "accent bold")]]
        lines = [_side(name, side, self._chosen, width) for name, side in (("A", found.a), ("B", found.b))]
        return [*lines, *([(" " + part, "bold")] for part in wrap(diff_sentence(found), width - 2)[:2])]

    def _answers(self, width: int, height: int) -> list[Line]:
        found = self._found
        if found is None:
            return []
        return [_answer("A", found.a, found.a), _answer("B", found.b, found.a)]

    def _columns(self) -> tuple[Column[tuple[int, SegmentFacts]], ...]:
        return (
            Column("", lambda row, now, cells: [(MARKS[row[1].kind], _STYLES[row[1].kind])], 1),
            Column(
                "SEGMENT",
                lambda row, now, cells: [(shorten(line_text(row[1].name), cells), "")],
                30,
                least=16,
            ),
            Column("A", lambda row, now, cells: [self._tokens(row[1].a_tokens)], 6, "right"),
            Column("B", lambda row, now, cells: [self._tokens(row[1].b_tokens)], 6, "right"),
            Column("", lambda row, now, cells: [(self._note(row[0]), "muted")], 18, least=16, rank=2),
            Column(
                "PLACE IN B", lambda row, now, cells: self._bar(row[0], cells), 40, least=10, grow=1, rank=3
            ),
        )

    def _tokens(self, number: int) -> tuple[str, str]:
        about = "" if self._found is None or self._found.counted else "~"
        return (about + count(number), "") if number else ("·", "dim")

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
        if (found := self._compared()) is not None:
            self.app.post_message(TracesPane.Opened(found.b.id))

    def action_trace_a(self) -> None:
        """Open the trace of A."""
        if (found := self._compared()) is not None:
            self.app.post_message(TracesPane.Opened(found.a.id))

    def action_swap(self) -> None:
        """Compare the other way round: A becomes the one whose cost is told."""
        if (found := self._compared()) is not None:
            self._ids = (found.a.id, found.b.id)
            in_background(self, "diff", partial(self._fetch, sort=False))

    def action_back(self) -> None:
        """Back to the segments; from there to where it was opened from."""
        if self._view.has_focus:
            self._table.focus()
        else:
            self.dismiss()

    def action_close(self) -> None:
        """Back to where it was opened from."""
        self.dismiss()

    @on(LineTable.Opened)
    def action_read(self) -> None:
        """To the difference, to scroll in it."""
        self._view.focus()

    def action_next_change(self) -> None:
        """Select the next segment that differs; behind the last one the first."""
        self._next_segment(1)

    def action_difference(self, steps: int) -> None:
        """Go to the next difference, or the one before, in other segments too."""
        if not self._view.step(steps):
            self._next_segment(steps)
            if steps < 0:
                self.call_after_refresh(self._view.to_last)

    def _next_segment(self, steps: int) -> None:
        if (found := self._compared()) is None:
            return
        here = self._table.cursor
        changed = [place for place, part in enumerate(found.segments) if part.kind != "same"]
        further = [place for place in changed if (place - here) * steps > 0]
        if changed in ([], [here]):
            self.app.notify(f"No {'other ' if changed else ''}segment differs.", timeout=2, markup=False)
        else:
            self._table.select((further or changed)[0] if steps > 0 else (further or changed)[-1])

    def action_turn_sides(self) -> None:
        """Put both sides beside each other, or one below the other; remember it."""
        columns = self.size.width
        if self._compared() is None:
            return
        if columns < NARROW:
            words = f"Side by side needs {NARROW} columns; here are {columns}."
            self.app.notify(words, timeout=3, markup=False)
            return
        beside = not is_beside(self.app, "diff", columns, wide=WIDE, narrow=NARROW)
        keep_layout(self.app, "diff", columns, beside=beside)
        if self._part is not None and self._part.kind != "changed":  # nothing of it is seen here
            how = "side by side" if beside else "one below the other"
            self.app.notify(f"A and B of segments that changed: {how}.", timeout=3, markup=False)
        self._view.turn(beside=self._is_beside, titles=self._titles)
        self._draw_note()

    def action_copy(self) -> None:
        """Copy the difference of the selected segment, as a patch has it."""
        if self._compared() is not None:
            copy(self.app, "\n".join(self._part.lines) if self._part is not None else "", "difference")

    def _compared(self) -> DiffFacts | None:
        """What was found; None, with a word why, where there is nothing (yet)."""
        if self._found is None:
            self.app.notify(self._problem or "The two are still being compared.", timeout=3, markup=False)
        return self._found


def difference_rows(part: SegmentFacts) -> list[DiffRow]:
    """The lines of a segment that differ, or that none does."""
    if part.kind == "same":
        return [DiffRow("note", words="The same in both.")]
    return diff_rows(part.lines, part.left_out, command=own_command("traces diff --json"))


def _ways_on(problem: str) -> list[Line]:
    """How the user chooses what to compare with, where nothing was to be found."""
    if problem != NOTHING:
        return []
    mark, diff = key_of("main.mark"), key_of("main.diff")
    words = f" on another request marks it; then {diff} on this one compares the two."
    return [[(mark, "accent"), (words, "muted")]]


def _side(name: str, side: Side, chosen: tuple[str, str], width: int) -> Line:
    line: Line = [
        (f" {name}  ", "accent bold"),
        (day_and_clock(side.time), ""),
        (f"  {line_text(side.session)[:6] or '-'}  {line_text(side.lane)}", "muted"),
        (f"  {side.prompt_tokens:,} tokens", "muted"),
    ]
    note = f"   {chosen[1]}" if side.id == chosen[0] and chosen[1] else ""
    return [*line, (note, "dim")] if note and line_width(line) + len(note) <= width else line


def _answer(name: str, side: Side, a: Side) -> Line:
    """What a request answered, how long that took, and how much longer than A."""
    line: Line = [
        (f" {name}  ", "accent bold"),
        (f"{plural(side.output_tokens, 'token'):>12}", "muted"),
        (f"  first {seconds(side.ttft_s):>5}  took {seconds(side.took_s):>5}", "muted"),
    ]
    if side is not a and side.took_s is not None and a.took_s is not None:
        more = side.took_s - a.took_s
        signed = f"{'+' if more >= 0 else '-'}{seconds(abs(more))}"
        line.append((f"{signed:>8}   ", "warn" if more > 0 else "ok"))
    else:
        line.append((" " * 11, ""))
    for call in side.calls[:_CALLS]:
        name, _, about = line_text(call).partition(" ")
        short = shorten_middle if about.startswith("/") else shorten
        line.append((f"▸ {name} {short(about, _CALL_CELLS)}  ", "tool"))
    if len(side.calls) > _CALLS:
        line.append((f"+{len(side.calls) - _CALLS} more  ", "muted"))
    if side.failed:
        line.append((f"✗ {line_text(side.answer)}", "bad"))
    elif side.answer:
        line.append((line_text(side.answer), ""))
    return line
