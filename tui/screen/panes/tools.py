"""Tools: the tool calls with their verdicts and results, and counts for each tool."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from textual import on
from textual.app import ComposeResult

from tui.client.figures import clock, seconds
from tui.client.filter import matcher
from tui.client.records import Snapshot, ToolRecord, ToolStats
from tui.client.wire_text import line_text, shorten, shorten_middle, width
from tui.screen.frames.ground import Stack
from tui.screen.keymap import bindings, key_of
from tui.screen.panes.pane import Pane, list_note, paragraphs
from tui.screen.panes.request_cells import asker, session
from tui.screen.panes.tool_call_cells import result, verdict
from tui.screen.panes.tools_parts.by_tool import ByTool
from tui.screen.panes.tools_parts.call_text import call_pieces, result_at_length, whole_call
from tui.screen.reading.asked import ReadAtLength
from tui.screen.reading.readable import Readable
from tui.screen.styled_line import Line
from tui.screen.trace_list.columns import when
from tui.screen.trace_list.list_query import RANGES, RangeName
from tui.screen.trace_list.listed_calls import in_full, records, timed, tool_stats, totals_of
from tui.screen.trace_list.source import ListSource
from tui.screen.widgets.canvas import Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.in_background import in_background
from tui.screen.widgets.line_table import LineTable
from tui.screen.widgets.text_tail import TextTail

if TYPE_CHECKING:
    from proxy.traces.listing.calls_page import CallPage
    from proxy.traces.schema import Trace

COLUMNS: tuple[Column[ToolRecord], ...] = (
    Column("TIME", lambda row, now, cells: [(clock(row.time), "muted")], 8, rank=2),
    Column("SESSION", lambda row, now, cells: [session(row.session)], 7, rank=5),
    Column("WHO", lambda row, now, cells: [asker(row.lane, row.who)], 10, rank=9),
    Column("TOOL", lambda row, now, cells: [(row.name or "?", "tool")], 12, least=9, most=24, grow=1),
    Column("ARGUMENTS", lambda row, now, cells: arguments(row, cells), 34, least=22, grow=3),
    Column("VERDICT", lambda row, now, cells: [verdict(row)], 14, least=11, rank=3),
    Column("END", lambda row, now, cells: [result(row)], 10, rank=1),
    Column("TOOK", lambda row, now, cells: [(seconds(row.duration_s), "muted")], 6, "right", rank=4),
    Column("RESULT", lambda row, now, cells: _result_text(row), 30, least=24, grow=2, rank=8),
)


DATED = (
    Column[ToolRecord]("TIME", lambda row, now, cells: when(row.time, now, cells), 14, least=9, rank=2),
    *COLUMNS[1:],
)
REST_S = 0.12  # that the cursor stays on a row before the host is asked for all of it
AGAIN_S = 1.0  # between two questions while calls come


def _result_text(call: ToolRecord) -> Line:
    return [(line_text(call.result, 400), "muted")]


def arguments(call: ToolRecord, cells: int) -> Line:
    """The arguments in short; a long path keeps its end."""
    first = call.arguments
    if first.startswith(("/", "~", "./")):
        first = shorten_middle(first, cells)
    if not call.more or width(first) > cells - 6:
        return [(first, "")]
    return [(first + "  " if first else "", ""), (call.more, "muted")]


class ToolsPane(Pane):
    """Counts by tool, the list of calls, and the selected call in full.

    Now is what the screen has seen itself; longer ranges, and what failed in them, come from the index.
    """

    place = "tools"
    BINDINGS = bindings("tools")

    def __init__(self, source: ListSource) -> None:
        super().__init__()
        self._source = source
        self._shown: ToolRecord | None = None
        self._range: RangeName = "now"
        self._failed = False
        self._page: CallPage | None = None  # of the range
        self._rows: tuple[ToolRecord, ...] = ()
        self._problem = ""
        self._asked_for: tuple[object, ...] = ()  # what the page was asked for, and as of what
        self._asked = 0.0  # when
        self._stats: tuple[ToolStats, ...] = ()
        self._stats_of: object = None

    def compose(self) -> ComposeResult:
        yield ByTool(lambda: self._counted, id="tool-stats")
        with Stack(id="calls-box"):
            yield Heading("Calls", id="calls-heading")
            yield LineTable[ToolRecord](
                COLUMNS,
                key=lambda row: row.id,
                request=lambda row: row.request,
                search=lambda row: row.search_text,
                empty=self._empty(),
            )
        with Stack(id="call-box"):
            yield Heading("Call", id="call-heading")
            yield TextTail(empty=paragraphs("The selected call appears here in full."))

    @property
    def main_table(self) -> LineTable[ToolRecord]:
        return self.query_one(LineTable)

    @property
    def request(self) -> str:
        return self.main_table.selected.request if self.main_table.selected else ""

    @property
    def session(self) -> str:
        return self.main_table.selected.session if self.main_table.selected else ""

    def update(self) -> None:
        self._ask()
        self._count()
        self.query_one(ByTool).paint()
        table = self.main_table
        table.empty = self._empty()
        table.show(self.snapshot.tools if self._range == "now" else self._rows, self.now)
        self.query_one("#calls-heading", Heading).set_text(note=self._note())
        call = table.selected
        if call is not self._shown:
            self._shown = call
            self._show_call(call)
            if call is not None and self._range != "now":
                in_background(self, "calls in full", partial(self._complete, call))

    def _show_call(self, call: ToolRecord | None) -> None:
        tail = self.query_one(TextTail)
        tail.show_from_top(call_pieces(call) if call is not None else [])
        title: Line = [("Call", "bold")]
        if call is not None:
            title += [("  ", ""), (call.name or "?", "tool"), ("  ", "")]
            title += [*when(call.time, self.now, DATED[0].width), ("  ", "")]
            title += [session(call.session), (" ", ""), asker(call.lane, call.who)]
        self.query_one("#call-heading", Heading).set_text(title)

    @on(LineTable.Opened)
    def action_read(self) -> None:
        """Focus the detail."""
        self.query_one(TextTail).focus()

    def action_step(self, steps: int) -> None:
        """Select the call before or after, wherever the focus is."""
        self.main_table.action_move(steps)

    def action_read_result(self) -> None:
        """Read the result of the selected call at length; without one, the call."""
        if (call := self._shown) is not None:
            in_background(self, "read", partial(self._read_call, call))

    async def _read_call(self, call: ToolRecord) -> None:
        readable = result_at_length(call, await self._trace_of(call))
        if readable is None:
            readable = Readable(line_text(call.name, 40), self.query_one(TextTail).text)
        self.post_message(ReadAtLength(readable, f"call {call.id}"))

    async def _trace_of(self, call: ToolRecord) -> Trace | None:
        """Its trace, which knows more of it; None: it has none, or there is no host."""
        with suppress(Exception):
            return await self._source.trace(call.request)
        return None

    def action_copy(self) -> None:
        """Copy the selected call, with its id and its request's."""
        if (call := self._shown) is not None:
            ids = f"{call.name or '?'} {call.id}\nrequest {call.request}\nsession {call.session or '?'}\n\n"
            self.copy(ids + self.query_one(TextTail).text, "call")

    def action_outside(self) -> None:
        """Open the whole call with its result in the user's pager."""
        if (call := self._shown) is not None:
            in_background(self, "pager", partial(self._page_call, call))

    async def _page_call(self, call: ToolRecord) -> None:
        from tui.screen.trace_detail.outside import NoProgram, show_outside

        text = whole_call(call, await self._trace_of(call))
        try:
            said = show_outside(self.app, "pager", text, "call.txt", environ=os.environ)
        except NoProgram as error:
            said = str(error)
        if said:
            self.app.notify(said, timeout=5, markup=False)

    def action_sort(self) -> None:
        """Sort the tools by the next figure."""
        table = self.query_one(ByTool)
        table.sort(table.order.next())

    def action_turn_round(self) -> None:
        """Turn the order of the tools round."""
        self.query_one(ByTool).turn_round()

    def action_failed(self) -> None:
        """Only calls that failed, of today where the range was what the screen saw; again: all calls."""
        self._failed = not self._failed
        if self._failed and self._range == "now":
            self._range = "today"
        self._change()

    def action_range(self) -> None:
        """The next range of time."""
        self._range = RANGES[(RANGES.index(self._range) - 1) % len(RANGES)]  # the longest comes last
        self._failed = self._failed and self._range != "now"
        self._change()

    @property
    def choices(self) -> tuple[RangeName, bool]:
        return self._range, self._failed

    def choose(self, choices: object) -> None:
        self._range, self._failed = cast("tuple[RangeName, bool]", choices)
        self._change()

    def reveal(self, text: str, request: str) -> None:
        """List calls that fit a filter, of now where the screen saw some, and select a request's first."""
        self.set_filter(text)
        fits = matcher(text, self.now)
        seen = any(fits(call, call.search_text) for call in self.snapshot.tools)
        if (known := ("now" if seen else "all", False)) != self.choices:
            self.choose(known)
        self.main_table.seek(lambda call: not request or call.request == request)
        self.screen.set_focus(self.main_table)

    def _change(self) -> None:
        self._page, self._rows, self._asked_for = None, (), ()
        self.main_table.set_columns(COLUMNS if self._range in ("now", "today") else DATED)
        self.update()

    # -- what the index knows -----------------------------------------------------------------------------

    def _ask(self) -> None:
        """Ask for the calls of the range: at once for another one, and once a second while calls come."""
        if self._range == "now" or self.snapshot.link.state != "live":
            return
        wanted = (self._range, self._failed, self._of, self.snapshot.traced, self.snapshot.tools)
        if wanted[:3] != self._asked_for[:3] or (
            wanted != self._asked_for and not 0.0 <= self.now - self._asked < AGAIN_S
        ):
            self._asked_for, self._asked = wanted, self.now
            in_background(self, "calls", self._load)

    @property
    def _of(self) -> str:
        """The session that the filter names: the host looks for its calls, however many are newer."""
        words = self.filter.split()
        named = [word for word in words if word.lower().startswith("session:")]
        return " ".join(named) if "|" not in self.filter else ""

    async def _load(self) -> None:
        try:
            self._page = await self._source.calls(self._of, self._range, failed=self._failed)
        except Exception as error:
            self._problem = line_text(str(error)) or type(error).__name__
        else:
            self._problem, known = "", {row.id: row for row in self._rows}
            # A row that did not change stays the same object, and its detail as it is.
            self._rows = tuple(
                known[row.id] if known.get(row.id) == row else row for row in records(self._page)
            )
        if self.is_attached:
            self.update()

    async def _complete(self, call: ToolRecord) -> None:
        """Show the whole call, once the cursor has stayed on it for a moment."""
        await asyncio.sleep(REST_S)
        try:
            whole = in_full(call, await self._source.trace(call.request))
        except Exception:  # pruned, or without a host: the row says what is known
            return
        if self.is_attached and self._shown is call:
            self._show_call(whole)

    def _count(self) -> None:
        page = self._page if self._range != "now" else None
        basis: object = page or (self.snapshot.tools, self.snapshot.tool_stats, self._range)
        if basis != self._stats_of:
            self._stats_of = basis
            if self._range == "now":
                self._stats = timed(self.snapshot.tool_stats, self.snapshot.tools)
            else:
                self._stats = tool_stats(page) if page is not None else ()

    @property
    def _counted(self) -> Snapshot:
        """The snapshot, with the figures of the range: also of now the sums are those of the table below."""
        return replace(self.snapshot, tool_stats=self._stats, totals=totals_of(self._stats))

    def _note(self) -> Line:
        note: Line = (
            [("failed only ", "bad"), (key_of("tools.failed"), "accent"), ("   ", "")] if self._failed else []
        )
        if self._range != "now" or self._failed:
            note += [(self._range, "bold"), (f" {key_of('tools.range')}", "accent"), ("   ", "")]
        if self._problem and self._range != "now":
            return [*note, (shorten(self._problem, 60), "bad")]
        if self._page is not None and self._range != "now":
            total, shown = self._page.total, len(self._rows)
            words = f"{total:,}" if shown == total else f"the newest {shown:,} of {total:,}"
            note += [(f"{words} ", "muted"), ("call" if total == 1 else "calls", "muted"), ("   ", "")]
        return [*note, *list_note(self.main_table, gone=self.snapshot.link.gone)]

    def _empty(self) -> list[Line]:
        if self._range == "now" and self.snapshot.link.gone:
            return paragraphs([("No tool call is known: there is no contact with the host.", "bold")])
        if self._range == "now":
            return paragraphs(
                [("No tool call yet.", "bold")],
                "Each call appears here with the verdict of its schema check;",
                "its result follows when the client sends it.",
            )
        if self._problem:
            return paragraphs([("The calls could not be loaded: ", "bad"), (self._problem, "bad")])
        if self._page is None:
            return paragraphs("Loading calls …")
        within = {"today": "today", "7 days": "in the last 7 days"}.get(self._range, "in any trace")
        return paragraphs(
            [(f"No {'failed ' if self._failed else ''}call {within}.", "bold")],
            f"{key_of('tools.range')} shows another range of time"
            + (f", {key_of('tools.failed')} all calls." if self._failed else "."),
        )
