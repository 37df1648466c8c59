"""Traces: the list of recorded requests, newest first; enter opens one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.message import Message
from textual.timer import Timer

from proxy.events.causes import overflow_tokens
from proxy.traces.files import TRACES_FOLDER
from tui.client.event_text import cleaned
from tui.client.figures import clock, day_and_clock, seconds, size
from tui.client.loaded_rows import PAGE, LoadedRows
from tui.client.wire_text import line_text, shorten, shorten_middle
from tui.screen.keymap import bindings
from tui.screen.panes.pane import Pane, list_note, paragraphs
from tui.screen.panes.request_cells import cancelled, failure, lane, number, restored_share, session
from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.line_table import LineTable

if TYPE_CHECKING:
    from proxy.traces.schema import TraceSummary
    from tui.client.records import RequestPhase

CLIENT_CLOSED_REQUEST = 499  # as `proxy.api.messages` records a request that the client cancelled
NEAR = 40  # rows: that near to the selected one, all are loaded
TYPING_S = 0.12  # after the last key of a filter, before the host is asked
Repeats = Mapping[str, "tuple[float, RequestPhase]"]  # by failed request: when it was repeated, and the end
Load = Callable[[str, int], Awaitable[tuple[list["TraceSummary"], int]]]


def _end(row: TraceSummary, cells: int, repeats: Repeats) -> Line:
    if row.marked:  # no prune removes it
        return [("◆ ", "warn"), *_state(row, cells - 2, repeats)]
    return _state(row, cells, repeats)


def _state(row: TraceSummary, cells: int, repeats: Repeats) -> Line:
    if row.status == CLIENT_CLOSED_REQUEST:
        return cancelled(line_text(row.cause), cells)
    if row.error or row.status >= 400:
        cause, repeat = line_text(row.cause) or f"HTTP {row.status}", repeats.get(row.id)
        return failure(cause, line_text(row.error), repeat, cells)
    return [("✓ ", "ok"), (shorten(row.stop_reason or "done", cells - 2), "muted")]


def _phase(row: TraceSummary) -> RequestPhase:
    if row.status == CLIENT_CLOSED_REQUEST:
        return "cancelled"
    return "failed" if row.error or row.status >= 400 else "done"


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


def columns(repeats: Repeats) -> tuple[Column[TraceSummary], ...]:
    """The columns of the list; `repeats` may grow."""
    return (
        Column("TIME", lambda row, now, cells: _when(row, cells), 14, least=8),
        Column("SESSION", lambda row, now, cells: [session(row.session)], 7, rank=3),
        Column("LANE", lambda row, now, cells: [lane(row.lane)], 10, rank=6),
        Column("MODEL", lambda row, now, cells: _model(row, cells), 20, least=14, rank=8),
        Column("END", lambda row, now, cells: _end(row, cells, repeats), 22, least=14, grow=1, most=26),
        Column("PROMPT", lambda row, now, cells: [number(_prompt(row))], 6, "right", rank=2),
        Column("REST.", lambda row, now, cells: _restored(row), 5, "right", rank=5),
        Column("OUT", lambda row, now, cells: [number(row.usage.output_tokens)], 5, "right", rank=4),
        Column("CALLS", lambda row, now, cells: _tools(row), 5, "right", rank=5),
        Column("TTFT", lambda row, now, cells: [(seconds(row.ttft_s), "muted")], 5, "right", rank=7),
        Column("TOOK", lambda row, now, cells: [(seconds(row.duration_s), "")], 6, "right", rank=2),
        Column("SIZE", lambda row, now, cells: [(size(row.bytes), "muted")], 7, "right", rank=9),
        Column("ASKED", lambda row, now, cells: _asked(row), 24, least=18, grow=3, rank=1),
    )


def _when(row: TraceSummary, cells: int) -> Line:
    if cells < 14:
        return [(clock(row.time), "muted")]
    day, _, hour = day_and_clock(row.time).partition(" ")
    return [(f"{day[5:]} ", "dim"), (hour, "muted")]


class AboutTrace(Message):
    """Something is to be done with one trace."""

    def __init__(self, trace_id: str) -> None:
        super().__init__()
        self.trace_id = trace_id


class TracesPane(Pane):
    """The list, loaded in pages where it is looked at; the newest are loaded again when requests end."""

    place = "traces"
    BINDINGS = bindings("traces")

    class Opened(AboutTrace):
        """A trace is to be shown."""

    class Explained(AboutTrace):
        """A request is to be explained."""

    class Compared(AboutTrace):
        """A request is to be compared with the one before it."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load
        self._rows = LoadedRows()
        self._repeats: dict[str, tuple[float, RequestPhase]] = {}
        self._wanted = 0  # the row whose page is asked for next
        self._query = ""
        self._problem = ""
        self._loaded_for = -1  # value of `Snapshot.traced` at the last load
        self._loaded_query = ""
        self._typing: Timer | None = None
        self._busy = False
        self._stale = True

    def compose(self) -> ComposeResult:
        yield Heading("Traces", id="traces-heading")
        yield LineTable(
            columns(self._repeats),
            key=lambda row: row.id,
            newest_first=True,
            empty=paragraphs("Loading traces …"),
        )

    @property
    def main_table(self) -> LineTable[TraceSummary]:
        return self.query_one(LineTable)

    @property
    def request(self) -> str:
        return self.main_table.selected.id if self.main_table.selected else ""

    @property
    def session(self) -> str:
        return self.main_table.selected.session if self.main_table.selected else ""

    @property
    def filter(self) -> str:
        return self._query

    def set_filter(self, query: str, *, done: bool = True) -> None:
        """Ask the host for traces that fit `query`: at once, or when the user, who is not `done`, pauses."""
        self._query = query
        if self._typing is not None:
            self._typing.stop()
        if done and query != self._loaded_query:
            self.action_reload()
        elif not done:
            self._typing = self.set_timer(TYPING_S, self.action_reload)

    def update(self) -> None:
        if self.snapshot.link.state == "live" and self.snapshot.traced != self._loaded_for:
            self._loaded_for = self.snapshot.traced
            self._stale = True
        if self._stale and self.snapshot.link.state == "live" and not self._busy:
            self._want(0)
        self._draw()

    def action_reload(self) -> None:
        """Load the list from its beginning; what is shown stays until then."""
        self._wanted, self._busy = 0, False
        self._fetch_wanted()

    def ensure_list(self) -> None:
        """Load the list unless it is loaded: a trace can be opened from another pane."""
        if not len(self._rows):
            self._fetch_wanted()

    def action_open(self) -> None:
        """Open the selected trace."""
        if self.main_table.selected is not None:
            self.post_message(self.Opened(self.main_table.selected.id))

    def action_copy(self) -> None:
        """Copy the path of the selected trace, on the host's machine."""
        row, host = self.main_table.selected, self.snapshot.host
        folder = f"{host.home}/{TRACES_FOLDER}/" if host is not None and host.home else ""
        self.copy((folder + line_text(row.path) if row.path else line_text(row.id)) if row else "", "path")

    def neighbour(self, trace_id: str, step: int) -> str | None:
        """The id of the trace `step` rows further; it is selected as well."""
        place = self._rows.place_of(trace_id)
        if place is None or not 0 <= place + step < len(self._rows):
            return None
        self.main_table.select(place + step)
        row = self.main_table.selected
        return row.id if row is not None else None

    @on(LineTable.Opened)
    def _row_opened(self, event: LineTable.Opened) -> None:
        self.action_open()

    def on_line_table_selected(self, event: LineTable.Selected) -> None:
        if self._rows.place_of(event.table.selected.id if event.table.selected else "") is not None:
            self._load_near(self.main_table.cursor)
        self._draw()

    @on(LineTable.Missing)
    def _row_missing(self, event: LineTable.Missing) -> None:
        if event.index < len(self._rows) and self._rows[event.index] is None:
            self._want(event.index)

    # -- loading ------------------------------------------------------------------------------------------

    def _load_near(self, place: int) -> None:
        for index in (place - NEAR, place + NEAR):
            if 0 <= index < len(self._rows) and self._rows[index] is None:
                self._want(index)

    def _want(self, index: int) -> None:
        """Load the page of a row, after the page that is being loaded."""
        self._wanted = index
        if not self._busy:
            self._fetch_wanted()

    def _fetch_wanted(self) -> None:
        if not self._busy:
            self._busy, self._stale = True, False
            start = self._wanted // PAGE * PAGE
            # A new one ends the one before, whose answer nobody waits for any more.
            self.run_worker(
                self._fetch(start), name="traces", group="traces", exclusive=True, exit_on_error=False
            )

    async def _fetch(self, start: int) -> None:
        query = self._query
        try:
            page, total = await self._load(query, start)
            page = [row.model_validate(cleaned(row.model_dump())) for row in page]
        except Exception as error:
            self._problem = line_text(str(error)) or type(error).__name__
        else:
            self._problem = ""
            rows = self._rows if query == self._loaded_query else LoadedRows()
            self._rows = rows.with_page(start, page, max(total, start + len(page)))
            self._loaded_query = query
            self._note_repeats(page)
        self._busy = False
        self._draw()
        wanted = self._wanted
        if wanted // PAGE * PAGE != start and wanted < len(self._rows) and self._rows[wanted] is None:
            self.call_after_refresh(self._want, wanted)

    def _note_repeats(self, page: list[TraceSummary]) -> None:
        """Note which failures the rows of a page repeat; the last of several repeats counts."""
        known = dict(self._repeats)
        for row in reversed(page):
            failed, seen = row.retry_of, {row.id}
            while failed and failed not in seen:
                seen.add(failed)
                self._repeats[failed] = (row.time, _phase(row))
                place = self._rows.place_of(failed)
                before = self._rows[place] if place is not None else None
                failed = before.retry_of if before is not None else ""
        if known != self._repeats:
            self.main_table.clear_drawn()

    def _draw(self) -> None:
        if not (self.is_attached and self.app.is_running):  # the screen closed while the list was loading
            return
        table = self.main_table
        table.empty = self._empty()
        table.show(self._rows, self.now)
        note = list_note(table, "home")
        if self._query:
            note = [
                ("/", "accent"),
                (self._query, "bold"),
                (f"  {len(self._rows):,} found  ", "muted"),
                *note,
            ]
        elif len(self._rows):
            note = [(f"{len(self._rows):,} in all  ", "muted"), *note]
        if self.snapshot.link.gone and len(self._rows):
            note = [(f"as of {clock(self.snapshot.link.since)}  ", "warn"), *note]
        elif self._problem and len(self._rows):
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
