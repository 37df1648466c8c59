"""Health: how engine or upstream stand, a timeline of what was, and the log of all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import ComposeResult
from textual.message import Message
from textual.widget import Widget

from tui.client.figures import clock, plural
from tui.client.records import LogLine, Snapshot
from tui.client.store import Store
from tui.client.timeline.happened import Happened, happened
from tui.client.timeline.view import RANGES, TimelineView, known_s, last_request, session_rows
from tui.client.wire_text import wrap
from tui.screen.engine_label import uses_other_backend
from tui.screen.health.engine_lines import engine_lines, fact_lines
from tui.screen.health.log_table import FILTERS, LogTable
from tui.screen.health.timeline_canvas import TimelineCanvas
from tui.screen.health.timeline_rows import LABEL, cells_of, timeline_lines
from tui.screen.host_actions.questions import cannot_restart, cannot_stop
from tui.screen.keymap import bindings, key_of, with_keys
from tui.screen.keys.table import LEADS
from tui.screen.panes.pane import Pane, paragraphs, way_to_newest
from tui.screen.styled_line import Line, Span
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.line_table import LineTable

SESSIONS = (1, 3, 6)  # rows of a low, a usual and a wide terminal
_MOST_TOLD = 12  # lines of what happened
_LEAST_LOG = 3  # lines of the log beside them


class HealthPane(Pane):
    """State, timeline, facts, and the log; the moment of the timeline and the line of the log go together."""

    place = "health"
    BINDINGS = bindings("health")

    class RestartRequested(Message):
        """The user wants to restart the engine, at once or after its requests."""

        def __init__(self, *, drain: bool = False) -> None:
            super().__init__()
            self.drain = drain

    class StopRequested(Message):
        """The user wants to end the host."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._view = TimelineView()
        self._scaled = False  # the user has chosen its range
        self._told: Happened | None = None
        self._told_most = _MOST_TOLD  # lines of it that there is room for
        self._selected_by_time = -1  # the row that a move along the timeline has selected
        self._picked = False  # the selected line was looked for, be it the newest one

    def compose(self) -> ComposeResult:
        yield Canvas(lambda width, height: engine_lines(self.snapshot, self.now, width), id="engine")
        yield Heading("", id="timeline-heading")
        yield TimelineCanvas(self._timeline, id="timeline")
        yield Canvas(self._facts, id="facts")
        yield Heading("Log", id="log-heading")
        yield LogTable(id="log")
        yield Canvas(self._told_lines, id="happened")

    @property
    def home(self) -> Widget:
        return self.query_one(LogTable)

    @property
    def main_table(self) -> LogTable:
        return self.query_one(LogTable)

    @property
    def request(self) -> str:
        """That of the line; where none was chosen, of what is shown: the last one that came by then."""
        line = self.main_table.selected
        chosen = self._line is not None and (self._picked or self._selected_by_time < 0)
        if chosen or (line is not None and line.request):
            return line.request if line is not None else ""
        cursor, step = self._view.cursor, self._view.axis(self.now, self._cells).step
        until = self.now if cursor is None else cursor + step / 2
        return last_request(self.snapshot, self._store.health, until)

    @property
    def unavailable(self) -> set[str]:
        snapshot = self.snapshot
        found = {"drain"} if cannot_restart(snapshot, drain=True) else set()
        if cannot_restart(snapshot) and snapshot.link.state != "ended":  # r starts one of this screen's again
            found.add("restart")
        if self.request and (self._line is None or not self._line.request):
            found |= {"diff", "open_trace", "mark", *LEADS}  # they work; the pane's own keys need the room
        return found | {"context"} | ({"stop"} if cannot_stop(snapshot) else set())

    # -- drawing ------------------------------------------------------------------------------------------

    def show(self, snapshot: Snapshot, now: float) -> None:
        """Draw once a second, and at once what has changed of the engine, the link or the log.

        Each piece of an answer is another snapshot, and none of it would be seen here.
        """
        before = self.snapshot
        same = before.engine is snapshot.engine and before.link is snapshot.link
        if same and before.log is snapshot.log and int(now) == int(self.now):
            return
        super().show(snapshot, now)

    def update(self) -> None:
        if not self._scaled:
            self._view = self._view.fitted(known_s(self._store.health, self.snapshot, self.now))
        self.query_one("#engine", Canvas).paint()
        self.query_one("#facts", Canvas).paint()
        self._draw_moment()

    def _draw_moment(self) -> None:
        """Draw what depends on the moment of the timeline and the line of the log."""
        table = self.main_table
        self._lay_out()
        for name in ("#timeline", "#happened"):
            self.query_one(name, Canvas).paint()
        table.empty = self._empty()
        table.show_log(self.snapshot.log, self.now)
        self._draw_headings()

    def _lay_out(self) -> None:
        """Heights that follow from the terminal's and from what there is to say."""
        short, wide = self.has_class("short"), self.has_class("wide")
        other = uses_other_backend(self.snapshot)
        axis = self._view.axis(self.now, self._cells)
        most = SESSIONS[0 if short else 2 if wide else 1]
        sessions = max(1, len(session_rows(self._store.health, self.snapshot, axis, most)))
        rows = 4 + (0 if other else 1 if short else 2) + sessions
        width = self.room.width or 80
        engine = len(engine_lines(self.snapshot, self.now, width)) if short else 2
        # In a low terminal what happened takes the place of the facts.
        facts = 0 if short and self._told else len(self._facts(width, 2 if short else 6))
        room = self.room.height - engine - rows - facts - 2 - _LEAST_LOG - (0 if short else 2)
        self._told_most = max(3, min(_MOST_TOLD, room))
        heights = {
            "#engine": engine,
            "#timeline": rows,
            "#facts": facts,
            "#happened": len(self._told_lines(max(20, width), self._told_most)),
        }
        for name, height in heights.items():
            widget = self.query_one(name, Canvas)
            if widget.styles.height is None or widget.styles.height.value != height:
                widget.styles.height = height
                widget.display = height > 0

    def _timeline(self, width: int, height: int) -> list[Line]:
        return timeline_lines(self._store.health, self.snapshot, self._view, self.now, width, height)

    def _facts(self, width: int, height: int) -> list[Line]:
        return fact_lines(self.snapshot, self._store.health, self.now, width, height)

    def _told_lines(self, width: int, height: int) -> list[Line]:
        if self._told is None:
            return []
        lines: list[Line] = [
            [
                ("  ", ""),
                (self._told.title, "bold"),
                (f"   {key_of('health.list')}", "accent"),
                (" closes", "dim"),
            ]
        ]
        for name, words in self._told.parts:
            for number, part in enumerate(wrap(with_keys(words), max(20, width - LABEL - 4))):
                label = name if number == 0 else ""
                lines.append([("  ", ""), (f"{label:<{LABEL}}", "label"), (part, "")])
        if len(lines) > self._told_most:
            lines = [
                *lines[: self._told_most - 1],
                [("  ", ""), (f"… {key_of('health.copy')} copies all of it", "dim")],
            ]
        return lines

    def _empty(self) -> list[Line]:
        if self.main_table.levels and self.snapshot.log:
            what = FILTERS[self.main_table.levels][0]
            return paragraphs(
                f"No {what} in {plural(len(self.snapshot.log), 'line')}.",
                [(key_of("health.levels"), "bold"), (" shows all", "muted")],
            )
        return paragraphs("Nothing was logged yet.")

    def _draw_headings(self) -> None:
        table, view = self.main_table, self._view
        title = f"Last {RANGES[view.range][1]}"
        if view.end is not None:
            axis = view.axis(self.now, self._cells)
            title = f"{RANGES[view.range][1]} up to {clock(min(axis.end, self.now))}"
        move, scale = (
            " ".join(key_of(f"health.{one}") for one in pair)
            for pair in (("move:-1", "move:1"), ("scale:1", "scale:-1"))
        )
        explain = key_of("health.explain")
        keys: list[Span] = [(move, "accent"), (" move  ", "dim"), (scale, "accent"), (" scale  ", "dim")]
        keys += [(explain, "accent"), (" what happened", "dim")]
        if self.room.width < 100:
            keys = [(f"{move} {scale}", "accent"), ("  ", ""), (explain, "accent"), (" what?", "dim")]
        self.query_one("#timeline-heading", Heading).set_text([(title, "bold")], keys)
        self.query_one("#log-heading", Heading).set_text([("Log", "bold")], self._log_note(table))

    def _log_note(self, table: LogTable) -> Line:
        note: Line = []
        if table.searched:
            note += [("/", "accent"), (table.searched, "bold"), (f" {table.found} found  ", "muted")]
            note += [
                (f"{key_of('health.match:-1')} {key_of('health.match:1')}", "accent"),
                (" next  ", "dim"),
            ]
        if table.levels:
            note += [
                (f"{FILTERS[table.levels][0]}", "warn"),
                (f" {table.total} of {table.total + table.hidden}  ", "muted"),
            ]
        elif not table.searched and self.room.width >= 100:
            note += [(key_of("health.levels"), "accent"), (" level  ", "dim")]
            note += [(key_of("main.filter"), "accent"), (" search  ", "dim")]
            note += [(key_of("health.error:-1"), "accent"), (" next error  ", "dim")]
        if table.pending:
            note += way_to_newest(table, f"{table.pending} newer", "end")
        elif table.following and table.rows and not self.snapshot.link.gone:
            note.append(("following", "dim"))
        return note

    # -- moving -------------------------------------------------------------------------------------------

    @property
    def _line(self) -> LogLine | None:
        """The selected line of the log, where the user has selected one."""
        table = self.main_table
        return table.selected if self._picked or not table.following else None

    @property
    def _cells(self) -> int:
        return cells_of(self.room.width)

    def action_move(self, steps: int) -> None:
        """Move the moment of the timeline, and the log with it."""
        self._view = self._view.moved(steps, self.now, self._cells)
        self._follow_time()

    def _follow_time(self) -> None:
        table = self.main_table
        self._told, self._picked = None, False
        if self._view.cursor is None:
            table.select(len(table.rows) - 1)
        else:
            axis = self._view.axis(self.now, self._cells)
            table.select_before(self._view.cursor + axis.step / 2)
        self._selected_by_time = table.cursor
        self._draw_moment()

    def on_log_table_shifted(self, event: LogTable.Shifted) -> None:
        self.action_move(event.steps)

    def row_selected(self, table: LineTable[Any]) -> None:
        if table.following and self._selected_by_time >= 0 and self._view.cursor is not None:
            self._selected_by_time = table.cursor  # new lines move no moment that was chosen
        if table.cursor != self._selected_by_time:
            self._follow_line(picked=False)
        super().row_selected(table)

    def _follow_line(self, *, picked: bool) -> None:
        """The timeline goes where the log is read."""
        self._selected_by_time = -1
        self._told, self._picked = None, picked
        line = self._line
        if line is not None and line.time:
            self._view = self._view.at(line.time, self.now, self._cells)
        elif self.main_table.following:
            self._view = self._view.live()
        self._draw_moment()

    def on_timeline_canvas_chosen(self, event: TimelineCanvas.Chosen) -> None:
        axis = self._view.axis(self.now, self._cells)
        self._view = self._view.at(axis.moment(event.place), self.now, self._cells)
        self._follow_time()
        self.main_table.focus()

    def action_scale(self, steps: int) -> None:
        """A shorter or a longer range."""
        self._view, self._scaled = self._view.scaled(steps, self.now), True
        self.update()

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        event.stop()
        self.action_explain()

    def action_explain(self) -> None:
        """Tell what happened at the moment of the timeline."""
        if self.snapshot.engine is None:
            return
        axis = self._view.axis(self.now, self._cells)
        place = axis.place(self._view.cursor if self._view.cursor is not None else self.now)
        start = axis.start + axis.step * (place if place is not None else axis.cells - 1)
        line = self._line if self._picked or self._selected_by_time < 0 else None
        self._told = happened(self.snapshot, self._store.health, start, start + axis.step, self.now, line)
        self.update()

    def action_list(self) -> None:
        """Close what happened; then end the search; then show all levels; then go to now."""
        table = self.main_table
        if self._told is not None:
            self._told = None
        elif table.searched:
            table.search("")
        elif table.levels:
            table.levels = len(FILTERS) - 1
            table.next_levels()
        else:
            self._picked, self._view = False, self._view.live()
            table.select(len(table.rows) - 1)
        table.focus()
        self.update()

    # -- the log ------------------------------------------------------------------------------------------

    def set_filter(self, query: str, *, done: bool = True) -> None:
        """Look for a text in the log."""
        table = self.main_table
        if query.lower() != table.searched:
            found = table.search(query)
            if query and found:
                self._pick()
        self.update()

    @property
    def searches(self) -> bool:
        return True

    @property
    def filter(self) -> str:
        return self.main_table.searched

    def action_levels(self) -> None:
        """Show errors alone, then warnings too, then all."""
        self.main_table.next_levels()
        self._pick()

    def action_error(self, way: int) -> None:
        """Go to the next error: up, to older ones, or down."""
        self._step(lambda line: line.level == "error", way, "There is no error in the log.")

    def action_match(self, way: int) -> None:
        """Go to the next line with what is looked for."""
        if not self.main_table.searched:
            self.app.notify(
                f"Nothing is looked for: {key_of('main.filter')} searches the log.", timeout=2, markup=False
            )
            return
        self._step(self.main_table.matches, way, f"No line has {self.main_table.searched}.")

    def _step(self, fits: Callable[[LogLine], bool], way: int, none: str) -> None:
        table = self.main_table
        here = way < 0 and table.following and not self._picked
        if not table.step(fits, older=way < 0, here=here):
            self.app.notify(none, timeout=2, markup=False)
            return
        self._pick()

    def _pick(self) -> None:
        """The selected line was looked for: it is what `enter` tells of."""
        table = self.main_table
        self._selected_by_time = table.cursor  # its own message comes later
        self._follow_line(picked=True)
        self._selected_by_time = table.cursor

    def action_copy(self) -> None:
        """Copy what happened, or the lines of the log that are shown."""
        if self._told is not None:
            self.copy(with_keys(self._told.text), "text")
            return
        lines = [line for line in self.main_table.rows if line is not None]
        shown = "\n".join(f"{clock(one.time)} {one.level:<7} {one.source:<8} {one.text}" for one in lines)
        self.copy(shown, "log")

    # -- host actions -------------------------------------------------------------------------------------

    def action_restart(self) -> None:
        """Ask for a restart."""
        self.post_message(self.RestartRequested())

    def action_drain(self) -> None:
        """Ask for a restart after the requests that run."""
        self.post_message(self.RestartRequested(drain=True))

    def action_stop(self) -> None:
        """Ask for the host's end."""
        self.post_message(self.StopRequested())
