"""Streams: the list of requests, and the answer of the selected request as it arrives."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from tui.client.figures import clock, count, plural, rate, seconds
from tui.client.records import ModelFit, RequestSnapshot, Snapshot
from tui.client.reducers.transcript import TranscriptPiece
from tui.client.store import Store
from tui.client.wire_text import shorten_middle
from tui.screen.host_actions.questions import cannot_cancel
from tui.screen.keymap import bindings
from tui.screen.panes.first_run import better_model, first_steps
from tui.screen.panes.pane import Pane, list_note, paragraphs
from tui.screen.panes.request_cells import lane, number, restored_share, session, state
from tui.screen.styled_line import Line, joined
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.line_table import LineTable
from tui.screen.widgets.text_tail import TextTail

PIECE_STYLES = {"text": "", "thinking": "thinking italic", "tool": "dim", "call": "tool", "error": "bad"}


def _model(record: RequestSnapshot, cells: int) -> Line:
    return [(shorten_middle(record.model, cells), "muted")]


def _speed(record: RequestSnapshot) -> Line:
    return [(rate(record.tokens_per_s), "decode" if record.phase == "decode" else "muted")]


def _restored(record: RequestSnapshot) -> Line:
    known = record.cache is not None or record.prefill is not None
    return [restored_share(record.reused_tokens, record.prompt_tokens, known=known)]


COLUMNS: tuple[Column[RequestSnapshot], ...] = (
    Column("TIME", lambda row, now, cells: [(clock(row.received), "muted")], 8),
    Column("SESSION", lambda row, now, cells: [session(row.session)], 7, rank=3),
    Column("LANE", lambda row, now, cells: [lane(row.lane)], 10, rank=6),
    Column("AGENT", lambda row, now, cells: [(row.agent_type, "muted")], 12, rank=9),
    Column("MODEL", lambda row, now, cells: _model(row, cells), 20, least=17, rank=8),
    Column("STATE", lambda row, now, cells: state(row, cells), 22, least=20, grow=1, most=36),
    Column("PROMPT", lambda row, now, cells: [number(row.prompt_tokens)], 6, "right", rank=2),
    Column("REST.", lambda row, now, cells: _restored(row), 5, "right", rank=5),
    Column("OUT", lambda row, now, cells: [number(row.output_tokens)], 5, "right", rank=4),
    Column("TOK/S", lambda row, now, cells: _speed(row), 5, "right", rank=4),
    Column("TTFT", lambda row, now, cells: [(seconds(row.ttft_s), "muted")], 5, "right", rank=7),
    Column("TOOK", lambda row, now, cells: [(seconds(row.duration_s(now)), "")], 6, "right", rank=2),
    Column("ASKED", lambda row, now, cells: [(row.preview, "muted")], 24, least=20, grow=3, rank=1),
)


class StreamsPane(Pane):
    """The list of requests, and the selected answer below or beside the list."""

    place = "streams"
    BINDINGS = bindings("streams")

    class CancelRequested(Message):
        """The user wants to end a running request; its id is empty where none is selected."""

        def __init__(self, request: str) -> None:
            super().__init__()
            self.request = request

    def __init__(self, store: Store, claude: str) -> None:
        """`claude` is the command line that starts Claude Code on this host."""
        super().__init__()
        self._store = store
        self._claude = claude
        self._shown = ""  # the request whose text is in the tail
        self._pieces_shown = 0  # of its transcript
        self._rewritten = 0  # as the transcript had it then
        self._kind = ""  # of the last piece
        self._line_ended = False  # by the last piece

    def compose(self) -> ComposeResult:
        with Vertical(id="requests"):
            yield Heading("Requests", id="requests-heading")
            yield LineTable[RequestSnapshot](
                COLUMNS,
                key=lambda row: row.id,
                search=lambda row: row.search_text,
                is_active=lambda row: row.active,
            )
        with Vertical(id="answer"):
            yield Heading("Answer", id="answer-heading")
            yield Canvas(self._facts, id="answer-facts")
            yield TextTail()

    @property
    def main_table(self) -> LineTable[RequestSnapshot]:
        return self.query_one(LineTable)

    @property
    def request(self) -> str:
        return self.main_table.selected.id if self.main_table.selected else ""

    @property
    def session(self) -> str:
        return self.main_table.selected.session if self.main_table.selected else ""

    @property
    def unavailable(self) -> set[str]:
        return {"cancel"} if cannot_cancel(self.request, self.snapshot) else set()

    def update(self) -> None:
        table = self.main_table
        models = {record.model for record in self.snapshot.requests}
        agents = {record.agent_type for record in self.snapshot.requests}
        same = [title for title, of in (("MODEL", models), ("AGENT", agents)) if len(of) < 2]
        table.leave_out(*same)
        table.empty = first_steps(self.snapshot, self._claude, self._fit)
        table.show(self.snapshot.requests, self.now)
        title: Line = [("Requests", "bold"), *counts(self.snapshot)]
        if self.snapshot.earlier and self.snapshot.host is not None:
            began = clock(self.snapshot.host.started)
            title.append(
                (f"  host started {began}; {self.snapshot.earlier} before that by their traces", "dim")
            )
        self.query_one("#requests-heading", Heading).set_text(title, list_note(table))
        self._update_answer(table.selected)

    def _update_answer(self, record: RequestSnapshot | None) -> None:
        tail = self.query_one(TextTail)
        if (record.id if record else "") != self._shown:
            self._shown = record.id if record else ""
            self._begin_answer(tail)
        transcript = self._store.transcript(self._shown) if record else None
        if transcript is not None and transcript.rewritten != self._rewritten:
            if tail.following:  # what somebody reads further up stays as it is
                self._begin_answer(tail)
            else:
                self._pieces_shown = min(self._pieces_shown, transcript.end - 1)
            self._rewritten = transcript.rewritten
        if transcript is not None and transcript.end > self._pieces_shown:
            tail.add(self._styled(transcript.since(self._pieces_shown)))
            self._pieces_shown = transcript.end
        tail.empty = _nothing_yet(record)
        tail.sync()
        self._draw_heading()
        self.query_one("#answer-facts", Canvas).paint()

    def _begin_answer(self, tail: TextTail) -> None:
        self._pieces_shown, self._rewritten, self._kind = 0, 0, ""
        tail.clear()

    def _draw_heading(self) -> None:
        record, tail = self.main_table.selected, self.query_one(TextTail)
        title: Line = [("Answer", "bold")]
        if record is not None:
            title += [("  ", ""), session(record.session), ("  ", ""), lane(record.lane)]
        note: Line = []
        if tail.pending:
            note = [(f"{plural(tail.pending, 'line')} below  ", "warn"), ("end", "accent")]
        elif record is not None and record.phase == "decode" and tail.following:
            note = [("following", "dim")]
        self.query_one("#answer-heading", Heading).set_text(title, note)

    def _styled(self, pieces: list[TranscriptPiece]) -> list[tuple[str, str]]:
        """Pieces as texts with styles; each change of kind starts a new line."""
        out: list[tuple[str, str]] = []
        for kind, text in pieces:
            if self._kind and (kind != self._kind or kind == "call"):
                calls = kind == self._kind == "call"
                out.append(("\n" if calls or self._line_ended else "\n\n", ""))
            sign = {"call": "▸ ", "error": "✗ "}.get(kind, "") if kind != self._kind or kind == "call" else ""
            out.append((sign + text, PIECE_STYLES[kind]))
            self._kind, self._line_ended = kind, text.endswith("\n")
        return out

    # -- pure drawing -------------------------------------------------------------------------------------

    def _facts(self, width: int, height: int) -> list[Line]:
        record = self.main_table.selected
        return answer_facts(record, self.now) if record is not None else []

    # -- commands -----------------------------------------------------------------------------------------

    @on(LineTable.Opened)
    def action_read(self) -> None:
        """Focus the answer."""
        self.query_one(TextTail).focus()

    def action_copy(self) -> None:
        """Copy the text of the selected answer."""
        self.copy(self.query_one(TextTail).text, "answer")

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
        self.copy(self._claude, "command")


def counts(snapshot: Snapshot) -> Line:
    """What the vital signs leave out: repeated requests, and output tokens since the host started."""
    totals = snapshot.totals
    words: Line = []
    if totals.repeated:
        words.append((f"  {totals.repeated} repeated", "warn"))
    if totals.output_tokens:
        words.append((f"  {count(totals.output_tokens)} output tokens", "dim"))
    return words


def answer_facts(record: RequestSnapshot, now: float) -> list[Line]:
    """Two lines about one request: the user's text, and the numbers."""
    asked: Line = [("  › ", "accent"), (record.preview or "(no text)", "" if record.preview else "dim")]
    prompt = record.prompt_tokens
    numbers: list[Line] = []
    if prompt:
        prefilled = max(0, prompt - record.reused_tokens)
        numbers.append(
            [
                (f"{count(prompt)} prompt", "muted"),
                (" = ", "dim"),
                (f"{count(record.reused_tokens)} restored", "restored"),
                (" + ", "dim"),
                (f"{count(prefilled)} prefilled", "prefill"),
            ]
        )
    if record.ttft_s is not None:
        numbers.append([("TTFT ", "muted"), (seconds(record.ttft_s), "")])
    if record.output_tokens:
        numbers.append([(f"{count(record.output_tokens)} out", "decode")])
    numbers.append([("took " if record.ended else "for ", "muted"), (seconds(record.duration_s(now)), "")])
    if record.phase == "failed":
        numbers.insert(0, [(f"HTTP {record.status}", "bad")])
    return [asked, [("    ", ""), *joined(numbers, "  ")]]


def _nothing_yet(record: RequestSnapshot | None) -> list[Line]:
    if record is None:
        return paragraphs("The answer of the selected request appears here.")
    match record.phase:
        case "queued":
            return paragraphs("Queued.")
        case "prefill" if record.prefill is not None:
            return paragraphs(f"Prefill: {record.prefill.done:,} of {record.prefill.total:,} tokens.")
        case "received" | "decode":
            return paragraphs("No text yet.")
        case _:
            return paragraphs("The text is no longer in memory; the trace has it (t).")
