"""Traces: the list of recorded requests, newest first; enter opens one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.message import Message

from proxy.events.causes import overflow_tokens
from tui.client.event_text import cleaned
from tui.client.figures import clock, day_and_clock, seconds, size
from tui.client.wire_text import line_text, shorten, shorten_middle
from tui.screen.keymap import bindings
from tui.screen.panes.pane import Pane, list_note, paragraphs
from tui.screen.panes.request_cells import failure, lane, number, restored_share, session
from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.line_table import LineTable

if TYPE_CHECKING:
    from proxy.traces.schema import TraceSummary

PAGE = 200
CLIENT_CLOSED_REQUEST = 499  # as `proxy.api.messages` records a request that the client cancelled
NEAR_END = 40  # rows from the end at which the next page is asked for
Load = Callable[[str, str], Awaitable[tuple[list["TraceSummary"], int]]]


def _end(row: TraceSummary, cells: int) -> Line:
    if row.marked:  # no prune removes it
        return [("◆ ", "warn"), *_state(row, cells - 2)]
    return _state(row, cells)


def _state(row: TraceSummary, cells: int) -> Line:
    if row.status == CLIENT_CLOSED_REQUEST:
        return [("⊘ ", "warn"), ("cancelled", "warn")]
    if row.error or row.status >= 400:
        return failure(line_text(row.cause) or f"HTTP {row.status}", line_text(row.error), None, cells)
    return [("✓ ", "ok"), (shorten(row.stop_reason or "done", cells - 2), "muted")]


def _model(row: TraceSummary, cells: int) -> Line:
    return [(shorten_middle(row.model, cells), "muted")]


def _asked(row: TraceSummary) -> Line:
    return [(line_text(row.preview, 400), "muted")]


def _tools(row: TraceSummary) -> Line:
    if not row.tool_calls:
        return [("·", "dim")]
    return [(f"{row.tool_calls}", "tool"), (f"/{row.tool_errors}✗" if row.tool_errors else "", "bad")]


def _prompt(row: TraceSummary) -> int:
    return row.usage.prompt_tokens or overflow_tokens(row.error)


def _restored(row: TraceSummary) -> Line:
    known = row.backend == "mlx"
    return [restored_share(row.usage.cache_read_input_tokens, row.usage.prompt_tokens, known=known)]


COLUMNS: tuple[Column[TraceSummary], ...] = (
    Column("TIME", lambda row, now, cells: _when(row, cells), 14, least=8),
    Column("SESSION", lambda row, now, cells: [session(row.session)], 7, rank=5),
    Column("LANE", lambda row, now, cells: [lane(row.lane)], 10, rank=1),
    Column("MODEL", lambda row, now, cells: _model(row, cells), 20, least=14, rank=7),
    Column("END", lambda row, now, cells: _end(row, cells), 22, least=12, grow=1, most=26),
    Column("PROMPT", lambda row, now, cells: [number(_prompt(row))], 6, "right", rank=2),
    Column("REST.", lambda row, now, cells: _restored(row), 5, "right", rank=3),
    Column("OUT", lambda row, now, cells: [number(row.usage.output_tokens)], 5, "right", rank=2),
    Column("CALLS", lambda row, now, cells: _tools(row), 5, "right", rank=4),
    Column("TTFT", lambda row, now, cells: [(seconds(row.ttft_s), "muted")], 5, "right", rank=5),
    Column("TOOK", lambda row, now, cells: [(seconds(row.duration_s), "")], 6, "right", rank=3),
    Column("SIZE", lambda row, now, cells: [(size(row.bytes), "muted")], 7, "right", rank=8),
    Column("ASKED", lambda row, now, cells: _asked(row), 24, least=18, grow=3, rank=6),
)


def _when(row: TraceSummary, cells: int) -> Line:
    if cells < 14:
        return [(clock(row.time), "muted")]
    day, _, hour = day_and_clock(row.time).partition(" ")
    return [(f"{day[5:]} ", "dim"), (hour, "muted")]


class TracesPane(Pane):
    """The list in pages; it is loaded again when requests end."""

    place = "traces"
    BINDINGS = bindings("traces")

    class Opened(Message):
        """A trace is to be shown."""

        def __init__(self, trace_id: str) -> None:
            super().__init__()
            self.trace_id = trace_id

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load
        self._rows: tuple[TraceSummary, ...] = ()
        self._matching = 0
        self._query = ""
        self._problem = ""
        self._loaded_for = -1  # value of `Snapshot.traced` at the last load
        self._busy = False
        self._stale = True

    def compose(self) -> ComposeResult:
        yield Heading("Traces", id="traces-heading")
        yield LineTable(
            COLUMNS,
            key=lambda row: row.id,
            newest_first=True,
            empty=paragraphs("Loading traces …"),
        )

    @property
    def main_table(self) -> LineTable[TraceSummary]:
        return self.query_one(LineTable)

    @property
    def filter(self) -> str:
        return self._query

    def set_filter(self, query: str) -> None:
        """Ask the host for traces that fit `query`."""
        if query != self._query:
            self._query = query
            self.action_reload()

    def update(self) -> None:
        if self.snapshot.link.state == "live" and self.snapshot.traced != self._loaded_for:
            self._loaded_for = self.snapshot.traced
            self._stale = True
        if self._stale and self.snapshot.link.state == "live":
            self._refresh_list()
        self._draw()

    def action_reload(self) -> None:
        """Load the list from its beginning."""
        self._rows, self._stale = (), True
        self._refresh_list()

    def ensure_list(self) -> None:
        """Load the list unless it is loaded: a trace can be opened from another pane."""
        if not self._rows:
            self._refresh_list()

    def action_open(self) -> None:
        """Open the selected trace."""
        if self.main_table.selected is not None:
            self.post_message(self.Opened(self.main_table.selected.id))

    def action_copy(self) -> None:
        """Copy the path of the selected trace, relative to the traces folder."""
        row = self.main_table.selected
        self.copy(line_text(row.path or row.id) if row else "", "path")

    def neighbour(self, trace_id: str, step: int) -> str | None:
        """The id of the trace `step` rows further; it is selected as well."""
        ids = [row.id for row in self._rows]
        if trace_id not in ids or not 0 <= ids.index(trace_id) + step < len(ids):
            return None
        self.main_table.select(ids.index(trace_id) + step)
        return ids[ids.index(trace_id) + step]

    @on(LineTable.Opened)
    def _row_opened(self, event: LineTable.Opened) -> None:
        self.action_open()

    def on_line_table_selected(self, event: LineTable.Selected) -> None:
        table = self.main_table
        row = table.selected
        if row is not None and row in self._rows[-NEAR_END:] and len(self._rows) < self._matching:
            self._next_page()
        self._draw()

    # -- loading ------------------------------------------------------------------------------------------

    def _refresh_list(self) -> None:
        if not self._busy:
            self._busy, self._stale = True, False
            self.run_worker(self._fetch(""), name="traces", group="traces", exit_on_error=False)

    def _next_page(self) -> None:
        if not self._busy:
            self._busy = True
            before = self._rows[-1].id
            self.run_worker(self._fetch(before), name="traces", group="traces", exit_on_error=False)

    async def _fetch(self, before: str) -> None:
        query = self._query
        try:
            page, total = await self._load(query, before)
            page = [row.model_validate(cleaned(row.model_dump())) for row in page]
        except Exception as error:
            self._problem = line_text(str(error)) or type(error).__name__
        else:
            self._problem = ""
            if query == self._query:
                self._rows = merged(self._rows, page, at_end=bool(before))
                self._matching = max(total, len(self._rows))
        finally:
            self._busy = False
        if query != self._query:
            self._rows = ()
            self._refresh_list()
        self._draw()

    def _draw(self) -> None:
        if not (self.is_attached and self.app.is_running):  # the screen closed while the list was loading
            return
        table = self.main_table
        table.empty = self._empty()
        table.show(self._rows, self.now)
        note = list_note(table, "home")
        if self._query:
            note = [("/", "accent"), (self._query, "bold"), (f"  {self._matching:,} found  ", "muted"), *note]
        elif self._matching:
            note = [(f"{self._matching:,} in all  ", "muted"), *note]
        if self._problem and self._rows:
            note = [(shorten(self._problem, 60), "bad")]
        self.query_one("#traces-heading", Heading).set_text(note=note)

    def _empty(self) -> list[Line]:
        if self._problem:
            return paragraphs(
                [("The list could not be loaded: ", "bad"), (self._problem, "bad")], "r tries again."
            )
        if self.snapshot.link.gone:
            since = clock(self.snapshot.link.since)
            return paragraphs(
                [(f"No contact with the host since {since}, so it lists no traces.", "warn")],
                "They are kept. Without a host, this lists them:  anyclaude-tui traces list",
            )
        if self._busy or self.snapshot.link.state != "live":
            return paragraphs("Loading traces …")
        if self._query:
            return paragraphs(
                [("No trace matches ", "muted"), (self._query, "bold"), (". esc clears the filter.", "muted")]
            )
        return paragraphs(
            [("No trace yet.", "bold")],
            "Each request has one, with its body, the upstream's and the answer.",
        )


def merged(
    rows: tuple[TraceSummary, ...], page: list[TraceSummary], at_end: bool
) -> tuple[TraceSummary, ...]:
    """`rows` with a page added: an older one at the end, or the newest ones in front; no trace twice."""
    if at_end:
        known = {row.id for row in rows}
        return (*rows, *(row for row in page if row.id not in known))
    fresh = {row.id: row for row in page}
    kept = {row.id: row for row in rows}
    if rows and page and rows[0].id not in fresh:
        return tuple(page)  # more arrived than one page holds, so the rows do not connect
    newest = tuple(kept[row.id] if kept.get(row.id) == row else row for row in page)
    return (*newest, *(row for row in rows if row.id not in fresh))
