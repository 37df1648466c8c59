"""Streams: the sessions, the turns of the chosen one, and the answer of the chosen turn as it arrives."""

from __future__ import annotations

from typing import Any

from textual import events, on
from textual.app import ComposeResult
from textual.message import Message

from tui.client.figures import clock, count, plural, rate, seconds
from tui.client.records import ModelFit, RequestSnapshot, Snapshot, ToolRecord
from tui.client.store import Store
from tui.client.wire_text import shorten_middle
from tui.screen.choices.own_command import own_command
from tui.screen.frames.ground import Stack
from tui.screen.host_actions.questions import cannot_cancel
from tui.screen.keymap import bindings, commands
from tui.screen.panes.answer_view import AnswerView
from tui.screen.panes.call_feed import CallFeed
from tui.screen.panes.doing import did
from tui.screen.panes.first_run import better_model, first_steps
from tui.screen.panes.pane import Pane, list_note, paragraphs
from tui.screen.panes.request_cells import asked_models, asker, number, restored_bar, session, state
from tui.screen.panes.session_cells import told_by_traces
from tui.screen.panes.session_order import ORDERS, keep_order, next_order, remembered_order
from tui.screen.panes.session_tree import SessionTree, TreeRow
from tui.screen.reading.asked import ReadAtLength
from tui.screen.reading.readable import Readable
from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.line_table import LineTable

_WORDY = 100  # cells from which on there is room for where the first requests are known from
_ROOMY = 76  # cells from which on the order of the sessions is named, whichever it is
_RUNNING = {"decode": 0, "prefill": 1}
_SIDE = frozenset({"auxiliary", "compaction"})


def _model(record: RequestSnapshot, cells: int) -> Line:
    return [(shorten_middle(record.model, cells), "muted")]


def _speed(record: RequestSnapshot) -> Line:
    return [(rate(record.tokens_per_s), "decode" if record.phase == "decode" else "muted")]


TURNS: tuple[Column[RequestSnapshot], ...] = (
    Column("TIME", lambda row, now, cells: [(clock(row.received), "muted")], 8, rank=2),
    Column("WHO", lambda row, now, cells: [asker(row.lane, row.who)], 10, rank=6),
    Column("DID", lambda row, now, cells: did(row, cells), 30, least=20, grow=3, rank=1),
    Column("END", lambda row, now, cells: state(row, cells), 19, least=17, grow=1, most=32),
    Column("MODEL", lambda row, now, cells: _model(row, cells), 20, least=14, rank=9),
    Column("PROMPT", lambda row, now, cells: [number(row.prompt_tokens)], 6, "right", rank=3),
    Column("RESTORED", lambda row, now, cells: restored_bar(row, cells), 11, least=8, rank=5),
    Column("OUT", lambda row, now, cells: [number(row.output_tokens)], 5, "right", rank=4),
    Column("TOK/S", lambda row, now, cells: _speed(row), 5, "right", rank=7),
    Column("TTFT", lambda row, now, cells: [(seconds(row.ttft_s), "muted")], 5, "right", rank=8),
    Column("TOOK", lambda row, now, cells: [(seconds(row.duration_s(now)), "")], 6, "right", rank=2),
)


class StreamsPane(Pane):
    """The sessions, the turns of the selected row, and the selected answer below or beside them.

    The list of sessions follows what runs as long as its first row is selected; going on to the turns, or
    into the answer, keeps what is shown.
    """

    place = "streams"
    BINDINGS = bindings("streams")

    class CancelRequested(Message):
        """The user wants to end a running request; its id is empty where none is selected."""

        def __init__(self, request: str) -> None:
            super().__init__()
            self.request = request

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._row = ""  # whose turns are shown
        self._of: tuple[RequestSnapshot, ...] = ()  # what `_turns` is made of
        self._turns: list[RequestSnapshot] = []

    def on_mount(self) -> None:
        self.main_table.order = remembered_order(self.app)

    def compose(self) -> ComposeResult:
        with Stack(id="lists"):
            yield Heading("Sessions", id="sessions-heading")
            yield SessionTree(id="sessions")
            yield Heading("Turns", id="turns-heading")
            yield LineTable[RequestSnapshot](
                TURNS,
                key=lambda row: row.id,
                request=lambda row: row.id,
                search=lambda row: row.search_text,
                is_active=lambda row: row.active,
                newest_first=True,
                empty=paragraphs("The requests of the selected session appear here."),
                id="turns",
            )
        with Stack(id="side"):
            yield AnswerView(self._store)
            yield CallFeed()

    @property
    def main_table(self) -> SessionTree:
        return self.query_one(SessionTree)

    @property
    def turns(self) -> LineTable[RequestSnapshot]:
        """The turns of the selected session or agent."""
        return self.query_one("#turns", LineTable)

    @property
    def answer(self) -> AnswerView:
        return self.query_one(AnswerView)

    @property
    def feed(self) -> CallFeed:
        return self.query_one(CallFeed)

    @property
    def request(self) -> str:
        return self.turns.selected.id if self.turns.selected else ""

    @property
    def ended_request(self) -> str:
        if not self.main_table.has_focus:
            return self.request
        ended = (one.id for one in self.turns.rows if one is not None and not one.active)
        return next(ended, self.request)

    @property
    def session(self) -> str:
        return self.turns.selected.session if self.turns.selected else ""

    @property
    def unavailable(self) -> set[str]:
        return {"cancel"} if cannot_cancel(self.request, self.snapshot) else set()

    def mark(self, request: str) -> None:
        self.turns.mark(request)

    def to_marked(self, request: str) -> None:
        if self.main_table.has_focus and len(self.turns.rows) > 1:  # a row of it stands for many requests
            self.turns.seek(lambda row: row.id == request)
            self._to_turns()

    def set_filter(self, query: str, *, done: bool = True) -> None:
        self.turns.set_filter(query)
        super().set_filter(query, done=done)

    def update(self) -> None:
        tree = self.main_table
        if not self.snapshot.sessions:
            tree.empty = first_steps(self.snapshot, own_command("claude"), self._fit)
        seen = self.snapshot
        tree.show_sessions(seen.sessions, _window(seen), self.now, seen.model_since)
        self._draw_heading()
        self._update_turns(tree.selected)
        self._show_turn()

    def row_selected(self, table: LineTable[Any]) -> None:
        if table is self.main_table:
            self.update()
        else:
            self._show_turn()

    def _update_turns(self, row: TreeRow | None) -> None:
        turns = self.turns
        of = row.requests if row is not None else ()
        if of is not self._of:
            self._of, self._turns = of, in_order(of)
            by_agent = row is not None and row.found is None and len(row.agents) == 1
            who = {(one.lane, one.agent_type, one.purpose) for one in of}
            same = [] if len(who) > 1 and not by_agent else ["WHO"]
            turns.leave_out(*same, *([] if len(asked_models(of)) > 1 else ["MODEL"]))
        key = row.key if row is not None else ""
        turns.show(self._turns, self.now, anew=key != self._row)
        self._row = key

    def _show_turn(self) -> None:
        """Show the selected turn, and what stands with it."""
        turns, row, several = self.turns, self.main_table.selected, len(self.snapshot.sessions) > 1
        title: Line = [("Turns", "bold"), *(_of_whom(row, several=several) if row is not None else [])]
        self.query_one("#turns-heading", Heading).set_text(
            title, list_note(turns, "home", gone=self.snapshot.link.gone)
        )
        turn = turns.selected
        self.answer.show(turn, self.now, named=several)
        if self.has_class("wide") and turn is not None:
            gone = self.snapshot.link.gone
            self.feed.show(self.snapshot.tools, turn.session, turn.folder, self.now, gone=gone)

    def _draw_heading(self) -> None:
        tree, snapshot = self.main_table, self.snapshot
        title: Line = [("Sessions", "bold"), *counts(snapshot)]
        if self.room.width >= _WORDY:
            title += told_by_traces(snapshot)
        note: Line = self._order_note(tree)
        if tree.filter:
            found = f"  {tree.matching} of {plural(len(snapshot.requests), 'request')}"
            note += [("/", "accent"), (tree.filter, "bold"), (found, "muted"), ("  ", "")]
        if tree.rows and not (tree.following and snapshot.link.gone):
            following: Line = [("following", "dim")]
            note += (
                following
                if tree.following
                else [
                    ("home", "accent @screen.newest"),
                    (" follows what runs", "dim @screen.newest"),
                ]
            )
        self.query_one("#sessions-heading", Heading).set_text(title, note)

    def _order_note(self, tree: SessionTree) -> Line:
        """The order of the sessions, and the key for another one; a click does what it does."""
        command = next(one for one in commands("streams") if one.action == "sort")
        click = command.clicked("screen")
        if self.room.width >= _ROOMY:
            words: Line = [(command.key, f"accent {click}"), (f" sort: {tree.order}", f"muted {click}")]
        elif tree.order != ORDERS[0]:
            words = [(f"by {tree.order}", f"bold {click}")]
        else:
            return []
        return [*words, ("   ", "")]

    # -- commands -----------------------------------------------------------------------------------------

    @on(LineTable.Opened)
    def _opened(self, event: LineTable.Opened) -> None:
        if event.table is self.turns:
            self._read()
        elif event.table is self.feed.calls:
            self._to_call(event.table.selected)
        elif (row := self.main_table.selected) is None or row.found is None or not self.main_table.fold():
            self._to_turns()

    def action_step_in(self) -> None:
        """Unfold the session, or go on to its turns, to the answer of a turn, to the calls beside it."""
        if self.feed.calls.has_focus:
            self._to_call(self.feed.calls.selected)
        elif self.turns.has_focus:
            self._read()
        elif self.answer.tail.has_focus:
            if self.has_class("wide"):
                self.feed.calls.focus()
        elif not self.main_table.fold(unfolded=True):
            self._to_turns()

    def action_step_out(self) -> None:
        """Go back to the turns, or to the sessions; there to the agent's session, which is folded then."""
        if not self.main_table.has_focus:
            self.action_list()
        elif not self.main_table.to_session():
            self.main_table.fold(unfolded=False)

    def action_list(self) -> None:
        """Back to the turns, or to the sessions; there the filter is cleared."""
        self.remove_class("reading")
        if self.feed.calls.has_focus:
            self.answer.tail.focus()
        elif self.answer.tail.has_focus:
            self.turns.focus()
        elif self.turns.has_focus:
            self.main_table.focus()
        else:
            super().action_list()

    def _to_turns(self) -> None:
        if self.turns.rows:
            self.turns.focus()

    def _read(self) -> None:
        self.add_class("reading")  # what is not displayed cannot have the focus
        self.answer.tail.focus()

    def _to_call(self, call: ToolRecord | None) -> None:
        """Select the turn that made a call."""
        if call is None:
            return
        if all(record.id != call.request for record in self._of):
            self.main_table.to_session()  # it is of another agent
            self.update()
        for place, record in enumerate(self.turns.rows):
            if record is not None and record.id == call.request:
                self.turns.focus()
                self.turns.select(place)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Keep what is shown while somebody is at the turns, or reads; at the sessions follow again."""
        reading = event.widget is self.answer.tail
        self.set_class(reading, "reading")
        before = self._kept
        if event.widget is self.main_table and event.widget.has_focus:  # still: it may have gone on
            self.main_table.select(self.main_table.cursor)  # on its first row it follows
            self.turns.follow()
        else:
            self.main_table.hold()
            if reading:
                self.turns.hold()
        if self._kept != before:
            self.update()

    @property
    def _kept(self) -> tuple[object, ...]:
        """What of the lists stays as it is, whatever comes."""
        return self.main_table.following, self.turns.following, self.turns.cursor

    def action_sort(self) -> None:
        """List the sessions in the next order, which is remembered."""
        order = next_order(self.main_table.order)
        keep_order(self.app, order)
        self.main_table.sort(order)
        self.update()

    def reveal(self, session: str, request: str = "") -> None:
        """Select a session, and the turn that is this request, whatever the filter was."""
        if self.filter:
            self.set_filter("")
        self.main_table.seek(lambda row: row.found is not None and row.session == session)
        self.update()
        self.main_table.hold()
        self.remove_class("reading")
        if request:
            self.turns.seek(lambda row: row.id == request)
        self.screen.set_focus(self.turns if request else self.main_table)

    def action_copy(self) -> None:
        """Copy the text of the selected answer."""
        self.copy(self.answer.tail.text, "answer")

    def action_read_answer(self) -> None:
        """Read the selected answer at length, as far as it has come."""
        self.post_message(
            ReadAtLength(Readable("answer", self.answer.tail.text, "markdown"), f"answer {self.request}")
        )

    def action_cancel(self) -> None:
        """Ask for the end of the selected request."""
        self.post_message(self.CancelRequested(self.request))

    @property
    def _fit(self) -> ModelFit | None:
        return getattr(self.app, "model_fit", None)

    def action_copy_model(self) -> None:
        """Copy the command that gets a model that fits, or runs it."""
        found = better_model(self.snapshot, self._fit)
        self.copy(found.command if found is not None else "", "command for a better model")

    def action_copy_command(self) -> None:
        """Copy the command line that starts Claude Code on this host."""
        self.copy(own_command("claude"), "command")


def in_order(records: tuple[RequestSnapshot, ...]) -> list[RequestSnapshot]:
    """What runs first: answers that are being written, prompts that are read, then the rest; then the newest.

    Of several the conversation itself comes before its agents, and those before its side requests.
    """
    running = [record for record in records if record.active]
    running.sort(key=_urgency)
    return [*running, *(record for record in reversed(records) if not record.active)]


def _urgency(record: RequestSnapshot) -> tuple[int, bool, bool, float]:
    return _RUNNING.get(record.phase, 2), record.lane != "main", record.lane in _SIDE, -record.received


def counts(snapshot: Snapshot) -> Line:
    """What the vital signs leave out: repeated requests, and output tokens since the host started."""
    totals = snapshot.totals
    words: Line = []
    if totals.repeated:
        words.append((f"  {totals.repeated} repeated", "warn"))
    if totals.output_tokens:
        words.append((f"  {count(totals.output_tokens)} output tokens", "dim"))
    return words


def _window(snapshot: Snapshot) -> int:
    """What prompt and answer share, also at another server, as far as that told it; 0: not known."""
    return snapshot.engine.context_tokens if snapshot.engine is not None else 0


def _of_whom(row: TreeRow, *, several: bool) -> Line:
    words: Line = []
    if row.found is None and len(row.agents) == 1:
        words += [("  ", ""), (row.agents[0].name, f"lane.{row.agents[0].lane}")]
    return [*words, ("  ", ""), session(row.session)] if several and row.session else words
