"""Traces: the recorded requests, in any order, with the strip of days above and the chosen one below."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import on, work
from textual.app import ComposeResult
from textual.geometry import Size
from textual.message import Message
from textual.timer import Timer

from proxy.traces.files import TRACES_FOLDER
from tui.client.loaded_rows import PAGE, LoadedRows
from tui.client.wire_text import line_text, shorten
from tui.screen.keymap import bindings, key_of
from tui.screen.panes.pane import Pane, paragraphs
from tui.screen.styled_line import Line
from tui.screen.trace_list.column_memory import ColumnMemory
from tui.screen.trace_list.columns import SORT_OF, columns, day_name
from tui.screen.trace_list.day_strip import day_strip, parts_in, strip_of
from tui.screen.trace_list.detail import detail_keys, detail_lines, detail_title
from tui.screen.trace_list.list_query import ListQuery, next_range
from tui.screen.trace_list.notes import list_note, no_contact, nothing_found, old_note, unrecorded
from tui.screen.trace_list.repeats import note_repeats
from tui.screen.trace_list.source import ListSource
from tui.screen.trace_list.trace_table import TraceTable
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.in_background import in_background
from tui.screen.widgets.line_table import LineTable

if TYPE_CHECKING:
    from proxy.traces.listing.histogram import Histogram
    from proxy.traces.schema import Trace, TraceSummary
    from tui.client.records import RequestPhase

NEAR = 40  # rows: that near to the selected one, all are loaded
TYPING_S = 0.12  # after the last key of a filter, before the host is asked; and of the cursor, for the detail
COUNTS_S = 5.0  # between two counts of what came when, while requests come
KEPT = 32  # details
ROOMY = 100  # columns: from there on what was asked has its place, and figures give way


class AboutTrace(Message):
    """Something is to be done with one trace."""

    def __init__(self, trace_id: str) -> None:
        super().__init__()
        self.trace_id = trace_id


class TracesPane(Pane):
    """The list, loaded in pages where it is looked at; it is loaded again when requests end."""

    place = "traces"
    BINDINGS = bindings("traces")

    class Opened(AboutTrace):
        """A trace is to be shown."""

    class Explained(AboutTrace):
        """A request is to be explained."""

    class Compared(AboutTrace):
        """A request is to be compared with the one before it."""

    def __init__(self, source: ListSource, memory: ColumnMemory | None = None) -> None:
        super().__init__()
        self._source = source
        self._memory = memory or ColumnMemory()
        self._titles = self._memory.chosen()
        self._rows = LoadedRows()
        self._repeats: dict[str, tuple[float, RequestPhase]] = {}
        self._wanted = 0  # the row whose page is asked for next
        self._around = ""  # the moment, instead, whose page is asked for next
        self._query = ListQuery()
        self._problem = ""
        self._loaded_for = -1  # value of `Snapshot.traced` at the last load
        self._loaded_query: ListQuery | None = None
        self._loaded_at = 0.0
        self._typing: Timer | None = None
        self._busy = False
        self._stale = True
        self._counts: Histogram | None = None
        self._counts_for: tuple[ListQuery, int] | None = None
        self._counted = 0.0  # when
        self._counted_at = -1  # value of `Snapshot.traced` then
        self._details: OrderedDict[str, tuple[TraceSummary, Trace]] = OrderedDict()
        self._day, self._resting = "", False  # whether details are being loaded
        self._chosen: TraceSummary | None = None  # whose detail is shown or loaded

    def compose(self) -> ComposeResult:
        yield Canvas(self._strip, id="day-strip")
        yield Heading("Traces", id="traces-heading")
        yield TraceTable(
            columns(self._repeats, self._titles),
            key=lambda row: row.id,
            newest_first=True,
            empty=paragraphs("Loading traces …"),
        )
        yield Heading("Trace", id="detail-heading")
        yield Canvas(self._detail, id="trace-detail")

    @property
    def main_table(self) -> LineTable[TraceSummary]:
        return self.query_one(TraceTable)

    @property
    def request(self) -> str:
        return self.main_table.selected.id if self.main_table.selected else ""

    @property
    def session(self) -> str:
        return self.main_table.selected.session if self.main_table.selected else ""

    @property
    def filter(self) -> str:
        return self._query.text

    def set_filter(self, query: str, *, done: bool = True) -> None:
        """Ask the host for traces that fit `query`: at once, or when the user, who is not `done`, pauses."""
        self._query = replace(self._query, text=query)
        if done and not query and self.main_table.selected is not None:
            self._around = self.main_table.selected.id  # what was found, among all others
        if self._typing is not None:
            self._typing.stop()
        if done and self._query != self._loaded_query:
            self._reload()
        elif not done:
            self._typing = self.set_timer(TYPING_S, self._reload)

    def update(self) -> None:
        if self.snapshot.link.state == "live" and self.snapshot.traced != self._loaded_for:
            self._loaded_for = self.snapshot.traced
            self._stale = True
        if self._stale and self.snapshot.link.state == "live" and not self._busy:
            self._want(0 if self._query.by_time else self.main_table.cursor)
        self._draw()

    def fit(self, room: Size) -> bool:
        if changed := super().fit(room):
            self._show_columns()
        return changed

    # -- commands -----------------------------------------------------------------------------------------

    def action_reload(self) -> None:
        """Load the list from its beginning; what is shown stays until then."""
        self._counts_for = None
        self._reload()

    def _reload(self) -> None:
        self._wanted, self._busy = 0, False
        self._fetch_wanted()

    def ensure_list(self) -> None:
        """Load the list unless it is loaded: a trace can be opened from another pane."""
        if not len(self._rows):
            self._fetch_wanted()

    @on(LineTable.Opened)
    def action_open(self) -> None:
        """Open the selected trace."""
        if self.main_table.selected is not None:
            self.post_message(self.Opened(self.main_table.selected.id))

    def action_copy(self) -> None:
        """Copy the path of the selected trace, on the host's machine."""
        row, host = self.main_table.selected, self.snapshot.host
        folder = f"{host.home}/{TRACES_FOLDER}/" if host is not None and host.home else ""
        self.copy((folder + line_text(row.path) if row.path else line_text(row.id)) if row else "", "path")

    def action_sort(self) -> None:
        """Sort by the next figure."""
        self.ask(self._query.next_sort())

    def action_turn_round(self) -> None:
        """Turn the order round."""
        self.ask(replace(self._query, reverse=not self._query.reverse))

    def action_range(self) -> None:
        """List the next range of time."""
        self.ask(replace(self._query, range=next_range(self._query.range)))

    def action_columns(self) -> None:
        """Choose the columns; they are remembered."""
        from tui.screen.trace_list.column_choice import ColumnScreen

        self.app.push_screen(ColumnScreen(self._titles, self._take_columns))

    def _take_columns(self, titles: tuple[str, ...]) -> None:
        self._titles = titles
        self._memory.keep(titles)
        self._show_columns()

    @on(TraceTable.GoTo)
    @work(name="go to", group="go to", exclusive=True, exit_on_error=False)
    async def action_go_to(self) -> None:
        """Ask for a day or a time, and select the request of that moment, or the one before it."""
        from tui.screen.trace_list.go_to import GoToScreen

        moment = await self.app.push_screen_wait(GoToScreen(lambda: self.now))
        if moment is not None:
            self._around, self._busy = repr(moment), False
            self._fetch_wanted()

    @on(LineTable.TitleClicked)
    def _title_clicked(self, event: LineTable.TitleClicked) -> None:
        if sort := SORT_OF.get(event.title.rstrip("↑↓")):
            turned = replace(self._query, reverse=not self._query.reverse)
            self.ask(turned if sort == self._query.sort else self._query.sorted_by(sort))

    def memento(self) -> Callable[[], None]:
        query, request = self._query, self.request
        return lambda: self.ask(query, request)

    def ask(self, query: ListQuery, around: str = "") -> None:
        """List what fits `query`, and select the request `around`, if that is in it."""
        self._query, self._around = query, around
        self._show_columns()
        self._reload()
        self.screen.set_focus(self.main_table)

    def _show_columns(self) -> None:
        sort, reverse = self._query.sort, self._query.reverse
        roomy = self.room.width >= ROOMY
        self.main_table.set_columns(columns(self._repeats, self._titles, sort, reverse, roomy=roomy))

    def neighbour(self, trace_id: str, step: int) -> str | None:
        """The id of the trace `step` rows further; it is selected as well."""
        place = self._rows.place_of(trace_id)
        if place is None or not 0 <= place + step < len(self._rows):
            return None
        self.main_table.select(place + step)
        return row.id if (row := self.main_table.selected) is not None else None

    def row_selected(self, table: LineTable[Any]) -> None:
        if self._rows.place_of(table.selected.id if table.selected else "") is not None:
            self._load_near(self.main_table.cursor)
        super().row_selected(table)

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
            start, around = self._wanted // PAGE * PAGE, self._around
            # A new one ends the one before, whose answer nobody waits for any more.
            in_background(self, "traces", partial(self._fetch, start, around))

    async def _fetch(self, start: int, around: str) -> None:
        query, place = self._query, None
        try:
            page = await self._source.page(query, start, around)
        except Exception as error:
            if around:  # the trace may be gone: from the beginning then
                self._busy, self._around, self._wanted = False, "", 0
                self.call_after_refresh(self._fetch_wanted)
                return
            self._problem = line_text(str(error)) or type(error).__name__
        else:
            self._problem, start, same = "", page.offset, query == self._loaded_query
            rows, place = (self._rows, page.place) if same else (LoadedRows(), page.place or 0)
            total = max(page.total, start + len(page.traces))
            grown = self._counts is not None and total > self._counts.total  # an index that is read anew
            self._counts_for = None if grown else self._counts_for
            self._rows = rows.with_page(start, page.traces, total, by_time=query.by_time)
            self._loaded_query, self._loaded_at = query, self.now
            if note_repeats(self._repeats, page.traces, self._rows, self.snapshot.requests):
                self.main_table.clear_drawn()
        self._busy, self._around = False, ""
        self._draw()
        if place is not None and self.is_attached:
            self._wanted = place
            self.main_table.select(place)
        wanted = self._wanted
        if wanted // PAGE * PAGE != start and wanted < len(self._rows) and self._rows[wanted] is None:
            self.call_after_refresh(self._want, wanted)

    def _count(self) -> None:
        """Ask what came when: for another range, width or filter at once, for new requests now and then."""
        if self._loaded_query is None or not self.room.width or self.snapshot.link.state != "live":
            return
        # Where all that fit are loaded, where they are is known.
        text = self._loaded_query.text if len(self._rows) > PAGE else ""
        wanted = (ListQuery(text, self._loaded_query.range), parts_in(self.room.width))
        late = self._counted_at != self._loaded_for and not 0.0 <= self.now - self._counted <= COUNTS_S
        if wanted != self._counts_for or late:
            self._counts_for, self._counted, self._counted_at = wanted, self.now, self._loaded_for
            in_background(self, "histogram", partial(self._fetch_counts, *wanted))

    async def _fetch_counts(self, query: ListQuery, parts: int) -> None:
        try:
            self._counts = await self._source.histogram(query, parts)
        except Exception:  # a host of an earlier version has none; what else is wrong, the list says
            self._counts = None
        self._draw()

    def _choose(self) -> None:
        """Load the detail of the selected row once the cursor has stayed on it for a moment."""
        row = self.main_table.selected
        if row is None or row is self._chosen or not self.query_one("#trace-detail").display:
            return
        self._chosen = row
        if not self._resting:  # one worker for a run of keys: each would cost more than its row
            self._resting = True
            in_background(self, "detail", self._fetch_details)

    async def _fetch_details(self) -> None:
        told = None
        while (row := self._chosen) is not None and row is not told:
            await asyncio.sleep(TYPING_S)
            if row is not self._chosen:
                continue
            told = row
            if self._details.get(row.id, (None,))[0] is not row:
                with suppress(Exception):  # pruned, or without a host: what the row knows is shown
                    self._details[row.id] = (row, await self._source.trace(row.id))
            if len(self._details) > KEPT:
                self._details.popitem(last=False)
            if self.is_attached:
                self.query_one("#trace-detail", Canvas).paint()
        self._resting = False

    # -- drawing ------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        if not (self.is_attached and self.app.is_running):  # the screen closed while the list was loading
            return
        table, day = self.main_table, day_name(self.now, 0.0)
        if day != self._day:  # rows say "today"
            self._day = day
            table.clear_drawn()
        table.empty = self._empty()
        table.show(self._rows, self.now)
        self.set_class(not len(self._rows), "empty")
        self.set_class(self._counts is None or not self._counts.total, "no-strip")
        self._count()
        self._choose()
        self.query_one("#day-strip", Canvas).paint()
        self.query_one("#traces-heading", Heading).set_text(note=self._note())
        row = table.selected
        if row is not None:
            self.query_one("#detail-heading", Heading).set_text(detail_title(row, self.now), detail_keys())
            self.query_one("#trace-detail", Canvas).paint()

    def _strip(self, width: int, height: int) -> list[Line]:
        if self._counts is None:
            return []
        filtered = self._loaded_query is not None and bool(self._loaded_query.text)
        return day_strip(strip_of(self._counts, self.main_table, filtered=filtered), width, height)

    def _detail(self, width: int, height: int) -> list[Line]:
        row = self.main_table.selected
        if row is None:
            return []
        return detail_lines(row, self._details.get(row.id, (None, None))[1], width, height)

    def _note(self) -> Line:
        if len(self._rows):
            if self.snapshot.link.gone:
                return old_note(self.main_table, self._query, self._loaded_at)
            if self._problem:
                return [(shorten(self._problem, 60), "bad")]
        return unrecorded(self.snapshot.disk) + list_note(self.main_table, self._query, self._loaded_query)

    def _empty(self) -> list[Line]:
        link = self.snapshot.link
        if self._problem:
            return paragraphs(
                [("The list could not be loaded: ", "bad"), (self._problem, "bad")],
                f"{key_of('traces.reload')} tries again.",
            )
        if link.gone:
            return no_contact(link.since)
        if self._busy or link.state != "live" or self._query != self._loaded_query:
            return paragraphs("Loading traces …")
        return nothing_found(self._query)
