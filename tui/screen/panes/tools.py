"""Tools: the tool calls with their verdicts and results, and counts for each tool."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult

from tui.client.figures import clock, percent, plural, ratio, seconds, size
from tui.client.records import Snapshot, ToolRecord, ToolStats
from tui.client.wire_text import block_text, line_text, shorten, shorten_middle, width
from tui.screen.calls.call_lines import argument_lines
from tui.screen.charts import bar, shape
from tui.screen.frames.ground import Box
from tui.screen.keymap import bindings, key_of
from tui.screen.panes.pane import Pane, list_note, paragraphs
from tui.screen.panes.request_cells import lane, session
from tui.screen.panes.tool_call_cells import call_steps, result, verdict
from tui.screen.reading.asked import ReadAtLength
from tui.screen.reading.readable import Readable, json_or_none
from tui.screen.styled_line import Line, fit, joined_lines
from tui.screen.trace_list.columns import when
from tui.screen.trace_list.list_query import RANGES, RangeName
from tui.screen.trace_list.listed_calls import in_full, records, timed, tool_stats, totals_of
from tui.screen.trace_list.source import ListSource
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.in_background import in_background
from tui.screen.widgets.line_table import LineTable
from tui.screen.widgets.text_tail import TextTail

if TYPE_CHECKING:
    from proxy.traces.listing.calls_page import CallPage

COLUMNS: tuple[Column[ToolRecord], ...] = (
    Column("TIME", lambda row, now, cells: [(clock(row.time), "muted")], 8, rank=2),
    Column("SESSION", lambda row, now, cells: [session(row.session)], 7, rank=5),
    Column("LANE", lambda row, now, cells: [lane(row.lane)], 10, rank=9),
    Column("TOOL", lambda row, now, cells: [(row.name or "?", "tool")], 12, least=9, most=24, grow=1),
    Column("ARGUMENTS", lambda row, now, cells: arguments(row, cells), 34, least=22, grow=3),
    Column("VERDICT", lambda row, now, cells: [verdict(row)], 14, least=11, rank=3),
    Column("END", lambda row, now, cells: [result(row)], 7, rank=1),
    Column("TOOK", lambda row, now, cells: [(seconds(row.duration_s), "muted")], 6, "right", rank=4),
    Column("RESULT", lambda row, now, cells: _result_text(row), 30, least=24, grow=2, rank=8),
)


DATED = (
    Column[ToolRecord]("TIME", lambda row, now, cells: when(row.time, now, cells), 14, least=9, rank=2),
    *COLUMNS[1:],
)
NAME_CELLS = 14
FIGURE_CELLS = 7 + 7 + 9 + 10 + 8  # two durations and three rates
REST_S = 0.12  # that the cursor stays on a row before the host is asked for all of it
AGAIN_S = 1.0  # between two questions while calls come
GROUP_CELLS = 69  # one tool's figures and a bar that is wide enough


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
        yield Canvas(lambda width, height: stats_block(self._counted, width, height), id="tool-stats")
        with Box(id="calls-box"):
            yield Heading("Calls", id="calls-heading")
            yield LineTable[ToolRecord](
                COLUMNS,
                key=lambda row: row.id,
                request=lambda row: row.request,
                search=lambda row: row.search_text,
                empty=self._empty(),
            )
        with Box(id="call-box"):
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
        self.query_one("#tool-stats", Canvas).paint()
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
            title += [("  ", ""), (call.name, "tool"), ("  ", ""), (call.id, "dim")]
        self.query_one("#call-heading", Heading).set_text(title)

    @on(LineTable.Opened)
    def action_read(self) -> None:
        """Focus the detail."""
        self.query_one(TextTail).focus()

    def action_read_result(self) -> None:
        """Read the result of the selected call at length; without one, the call."""
        if (call := self._shown) is not None:
            name, text = line_text(call.name, 40), block_text(call.result)
            readable = Readable(f"result of {name}", text, json_or_none(text))
            if not text.strip():
                readable = Readable(name, self.query_one(TextTail).text)
            self.post_message(ReadAtLength(readable, f"call {call.id}"))

    def action_copy(self) -> None:
        """Copy the selected call."""
        self.copy(self.query_one(TextTail).text, "call")

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

    def _change(self) -> None:
        self._page, self._rows, self._asked_for = None, (), ()
        self.main_table.set_columns(COLUMNS if self._range in ("now", "today") else DATED)
        self.update()

    # -- what the index knows -----------------------------------------------------------------------------

    def _ask(self) -> None:
        """Ask for the calls of the range: at once for another one, and once a second while calls come."""
        if self._range == "now" or self.snapshot.link.state != "live":
            return
        wanted = (self._range, self._failed, self.snapshot.traced, self.snapshot.tools)
        if wanted[:2] != self._asked_for[:2] or (
            wanted != self._asked_for and self.now - self._asked >= AGAIN_S
        ):
            self._asked_for, self._asked = wanted, self.now
            in_background(self, "calls", self._load)

    async def _load(self) -> None:
        try:
            self._page = await self._source.calls("", self._range, failed=self._failed)
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
        return [*note, *list_note(self.main_table)]

    def _empty(self) -> list[Line]:
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


def call_pieces(call: ToolRecord) -> list[tuple[str, str]]:
    """One call in full: its steps, then the details of each step."""
    pieces = list(call_steps(call))
    if call.detail:
        pieces.append((f"\n{call.detail}", verdict(call)[1]))
    if call.relaxed:
        pieces += [("\n\nNot covered by the grammar\n", "label"), (call.relaxed, "warn")]
    if call.repairs:
        repairs = "\n".join(f"{number}  {text}" for number, text in enumerate(call.repairs, 1))
        title, style = ("Repairs", "warn") if call.repaired else ("Repairs that were not enough", "bad")
        pieces += [(f"\n\n{title}\n", "label"), (repairs, style)]
    raw = [("\n\nAs the model wrote it\n", "label"), (call.raw, "muted")] if call.raw else []
    if call.input is None:
        pieces += raw
    else:
        lines = argument_lines(call.name, call.input)
        shown = argument_pieces(call.input) if lines is None else joined_lines(lines)
        pieces += [("\n\nArguments\n", "label"), *shown]
    pieces += _result_pieces(call)
    return pieces if call.input is None else pieces + raw


def _result_pieces(call: ToolRecord) -> list[tuple[str, str]]:
    if call.answered is None:
        return [("\n\nThe client has not sent a result yet.", "dim")]
    took = f" after {seconds(call.duration_s)}" if call.duration_s is not None else ""
    label = f"\n\n{'Error' if call.is_error else 'Result'}{took}, {size(call.result_bytes)}\n"
    return [(label, "bad" if call.is_error else "label"), (call.result or "(empty)", "")]


def argument_pieces(arguments: object) -> list[tuple[str, str]]:
    """Arguments by name: strings with their line breaks, other values as JSON."""
    if not isinstance(arguments, dict):
        return [(json.dumps(arguments, indent=2, ensure_ascii=False, default=str), "")]
    pieces: list[tuple[str, str]] = []
    for number, (name, value) in enumerate(arguments.items()):
        shown = (
            value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
        )
        pieces.append(("\n" if number else "", ""))
        pieces.append((line_text(str(name), 80), "tool"))
        pieces.append(("\n" + shown if "\n" in shown else "  " + shown, ""))
    return pieces


def stats_block(snapshot: Snapshot, width: int, height: int) -> list[Line]:
    """Totals, and for each tool: calls, durations, the rates of refusals, repairs and errors."""
    totals = snapshot.totals
    rates: Line = [
        (f" {plural(totals.tool_calls, 'call')}", "bold"),
        (f"   {plural(totals.tool_results, 'result')}", "muted"),
    ]
    if totals.tool_calls_invalid:
        share = percent(ratio(totals.tool_calls_invalid, totals.tool_calls))
        rates.append((f"   {shape('bad')} {totals.tool_calls_invalid} refused ({share})", "bad"))
    if totals.tool_calls_repaired:
        share = percent(ratio(totals.tool_calls_repaired, totals.tool_calls))
        rates.append((f"   {shape('warn')} {totals.tool_calls_repaired} repaired ({share})", "warn"))
    if totals.tool_errors:
        share = percent(ratio(totals.tool_errors, totals.tool_results))
        rates.append((f"   {shape('bad')} {plural(totals.tool_errors, 'error')} ({share})", "bad"))
    if not snapshot.tool_stats:
        return [rates]
    if height < 3:
        return [[rates[0], *_worst(snapshot.tool_stats), *rates[2:]]]
    across = max(1, (width - 2) // GROUP_CELLS)
    cells = (width - 2) // across
    most = max(stats.calls for stats in snapshot.tool_stats) or 1
    groups = [fit(_stats_line(stats, most, cells - 3), cells) for stats in snapshot.tool_stats]
    shown = min(across, len(groups))
    room = max(1, (height - 2) * across)
    if len(groups) > room:
        others = ", ".join(stats.name for stats in snapshot.tool_stats[room - 1 :])
        more: Line = [(f"+{len(groups) - room + 1} more: {others}", "muted")]
        groups = [*groups[: room - 1], fit(more, cells)]
    lines: list[Line] = [rates, [(" ", ""), *(fit(_stats_head(cells - 3), cells) * shown)]]
    for row in range(max(0, min(height - 2, -(-len(groups) // across)))):
        line: Line = [(" ", "")]
        for group in groups[row * across : (row + 1) * across]:
            line += group
        lines.append(line)
    return lines


def _worst(stats: Sequence[ToolStats]) -> Line:
    """The two tools with the most failures, where there is no room for all."""
    failed = {one.name: one.errors + one.invalid for one in stats}
    worst = sorted(stats, key=lambda one: -failed[one.name])[:2]
    return [(f"   {one.name} {failed[one.name]}✗ of {one.calls}", "bad") for one in worst if failed[one.name]]


def _stats_head(cells: int) -> Line:
    room = cells - NAME_CELLS - 6 - FIGURE_CELLS
    figures = f"{'P50':>7}{'P95':>7}{'REFUSED':>9}{'REPAIRED':>10}{'ERRORS':>8}"
    return [(f"{'BY TOOL':<{NAME_CELLS}}{'CALLS':>5}{'':<{max(4, room) + 1}}{figures}", "muted")]


def _stats_line(stats: ToolStats, most: int, cells: int) -> Line:
    room = max(4, cells - NAME_CELLS - 6 - FIGURE_CELLS)
    share = stats.calls / most
    refused, repaired = (_part(number, stats.calls) for number in (stats.invalid, stats.repaired))
    failed = min(1.0 - refused, _part(stats.errors, stats.calls))
    repaired = min(1.0 - refused - failed, repaired)
    accepted = 1.0 - refused - repaired - failed
    shares = [(accepted, "lane.main"), (repaired, "warn"), (refused + failed, "bad")]
    return [
        *fit([(stats.name or "?", "tool")], NAME_CELLS),
        (f"{stats.calls:>5} ", ""),
        *bar([(part * share, style) for part, style in shares], room, rest=""),
        (f"{seconds(stats.p50_s):>7}", ""),
        (f"{seconds(stats.p95_s):>7}", "muted"),
        (f"{_rate(stats.invalid, stats.calls):>9}", "bad"),
        (f"{_rate(stats.repaired, stats.calls):>10}", "warn"),
        (f"{_rate(stats.errors, stats.results):>8}", "bad"),
    ]


def _part(number: int, whole: int) -> float:
    return min(1.0, number / whole) if whole else 0.0


def _rate(number: int, whole: int) -> str:
    return percent(ratio(number, whole)) if number and whole else ""
