"""Streams: every request as it passes, and the text of one of them while it arrives."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from tui.client.figures import clock, count, percent, plural, rate, ratio, seconds
from tui.client.records import RequestRecord, View
from tui.client.reducers.transcript import Piece
from tui.client.store import Store
from tui.client.wire_text import shorten_middle
from tui.screen.keymap import bindings
from tui.screen.lines import Line, joined, line_width, spread, strip
from tui.screen.panes.cells import lane, number, phase, session
from tui.screen.panes.pane import Pane, list_note, paragraphs
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.line_table import LineTable
from tui.screen.widgets.text_tail import TextTail

PIECE_LOOKS = {"text": "", "thinking": "thinking italic", "tool": "dim", "call": "tool", "error": "bad"}


def _model(record: RequestRecord, cells: int) -> Line:
    return [(shorten_middle(record.model, cells), "muted")]


def _speed(record: RequestRecord) -> Line:
    return [(rate(record.tokens_per_s), "decode" if record.phase == "decode" else "muted")]


COLUMNS: tuple[Column[RequestRecord], ...] = (
    Column("TIME", lambda row, now, cells: [(clock(row.received), "muted")], 8),
    Column("SESSION", lambda row, now, cells: [session(row.session)], 7, rank=5),
    Column("LANE", lambda row, now, cells: [lane(row.lane)], 10, rank=1),
    Column("AGENT", lambda row, now, cells: [(row.agent_type, "muted")], 12, rank=9),
    Column("MODEL", lambda row, now, cells: _model(row, cells), 20, least=17, rank=7),
    Column("STATE", lambda row, now, cells: phase(row, cells), 22, least=20, grow=1, most=36),
    Column("PROMPT", lambda row, now, cells: [number(row.prompt_tokens)], 6, "right", rank=2),
    Column("HIT", lambda row, now, cells: hit(row), 4, "right", rank=3),
    Column("OUT", lambda row, now, cells: [number(row.output_tokens)], 5, "right", rank=1),
    Column("TOK/S", lambda row, now, cells: _speed(row), 5, "right", rank=2),
    Column("TTFT", lambda row, now, cells: [(seconds(row.ttft_s), "muted")], 5, "right", rank=4),
    Column("TOOK", lambda row, now, cells: [(seconds(row.duration_s(now)), "")], 6, "right", rank=2),
    Column("ASKED", lambda row, now, cells: [(row.preview, "muted")], 24, least=20, grow=3, rank=8),
)


def hit(record: RequestRecord) -> Line:
    """The share of the prompt that the cache gave back."""
    share = ratio(record.reused_tokens, record.prompt_tokens)
    return [(percent(share), "reused" if share else "dim")]


class StreamsPane(Pane):
    """The list of requests, a line of totals above it, and the selected answer below or beside it."""

    place = "streams"
    BINDINGS = bindings("streams")

    class TraceWanted(Message):
        """The trace of a request was asked for."""

        def __init__(self, request: str) -> None:
            super().__init__()
            self.request = request

    def __init__(self, store: Store, claude: str) -> None:
        """`claude` is the line that starts Claude Code on this host."""
        super().__init__()
        self._store = store
        self._claude = claude
        self._shown = ""  # the request whose text is in the tail
        self._read = 0  # pieces of its transcript that are in the tail
        self._kind = ""  # of the last piece
        self._line_ended = False  # by the last piece

    def compose(self) -> ComposeResult:
        yield Canvas(self._totals, id="totals")
        with Vertical(id="requests"):
            yield Heading("Requests", id="requests-heading")
            yield LineTable[RequestRecord](
                COLUMNS,
                key=lambda row: row.id,
                search=lambda row: row.search_text,
                live=lambda row: row.active,
                empty=paragraphs(
                    [("No request yet.", "bold")],
                    "",
                    [("In another terminal:  ", "muted"), (self._claude, "accent")],
                    "It starts Claude Code on this host; every request it makes appears here.",
                ),
            )
        with Vertical(id="answer"):
            yield Heading("Answer", id="answer-heading")
            yield Canvas(self._facts, id="answer-facts")
            yield TextTail()

    @property
    def main_table(self) -> LineTable[RequestRecord]:
        return self.query_one(LineTable)

    def update(self) -> None:
        table = self.main_table
        table.show(self.view.requests, self.now)
        self.query_one("#requests-heading", Heading).say(note=list_note(table))
        self.query_one("#totals", Canvas).paint()
        self._update_answer(table.selected)

    def _update_answer(self, record: RequestRecord | None) -> None:
        tail = self.query_one(TextTail)
        if (record.id if record else "") != self._shown:
            self._shown, self._read, self._kind = record.id if record else "", 0, ""
            tail.clear()
        transcript = self._store.transcript(self._shown) if record else None
        if transcript is not None and transcript.end > self._read:
            tail.add(self._looks_of(transcript.since(self._read)))
            self._read = transcript.end
        tail.empty = _nothing_yet(record)
        tail.sync()
        self._say_position()
        self.query_one("#answer-facts", Canvas).paint()

    def _say_position(self) -> None:
        record, tail = self.main_table.selected, self.query_one(TextTail)
        title: Line = [("Answer", "bold")]
        if record is not None:
            title += [("  ", ""), session(record.session), ("  ", ""), lane(record.lane)]
        note: Line = []
        if tail.pending:
            note = [(f"{plural(tail.pending, 'line')} below  ", "warn"), ("end", "accent")]
        elif record is not None and record.phase == "decode" and tail.following:
            note = [("following", "dim")]
        self.query_one("#answer-heading", Heading).say(title, note)

    def _looks_of(self, pieces: list[Piece]) -> list[tuple[str, str]]:
        """Pieces as texts with looks; each change of kind starts a new line."""
        out: list[tuple[str, str]] = []
        for kind, text in pieces:
            if self._kind and (kind != self._kind or kind == "call"):
                calls = kind == self._kind == "call"
                out.append(("\n" if calls or self._line_ended else "\n\n", ""))
            sign = {"call": "▸ ", "error": "✗ "}.get(kind, "") if kind != self._kind or kind == "call" else ""
            out.append((sign + text, PIECE_LOOKS[kind]))
            self._kind, self._line_ended = kind, text.endswith("\n")
        return out

    # -- pure drawing -------------------------------------------------------------------------------------

    def _totals(self, width: int, height: int) -> list[Line]:
        return [totals_line(self.view, self._store.output_rate.rates(self.now, 120), width)]

    def _facts(self, width: int, height: int) -> list[Line]:
        record = self.main_table.selected
        return answer_facts(record, self.now) if record is not None else []

    # -- commands -----------------------------------------------------------------------------------------

    @on(LineTable.Opened)
    def action_read(self) -> None:
        """Move into the text."""
        self.query_one(TextTail).focus()

    def action_copy(self) -> None:
        """Copy the text of the selected answer."""
        self.copy(self.query_one(TextTail).text, "answer")

    def action_trace(self) -> None:
        """Ask for the trace of the selected request."""
        if self.main_table.selected is not None:
            self.post_message(self.TraceWanted(self.main_table.selected.id))


def totals_line(view: View, rates: list[float], width: int) -> Line:
    """What runs now, the speed of the last two minutes, and what there was."""
    totals = view.totals
    queued = sum(record.phase == "queued" for record in view.active)
    running = len(view.active) - queued
    share = ratio(totals.cache_read_input_tokens, totals.prompt_tokens)
    now: Line = [(f" {running} active", "decode" if running else "muted")]
    if queued:
        now += [("  ", ""), (f"{queued} queued", "warn")]
    counts: list[Line] = [
        [(plural(totals.requests, "request"), "muted")],
        [(f"{totals.failed} failed", "bad")] if totals.failed else [],
        [(f"{percent(share)} reused", "reused")] if share is not None and width >= 100 else [],
        [(f"{count(totals.output_tokens)} tokens written", "muted")] if width >= 120 else [],
    ]
    right = [*joined(counts), (" ", "")]
    speed = sum(rates[-3:]) / 3
    middle: Line = [("   ", ""), (f"{rate(speed):>5}", "decode" if speed else "dim"), (" tok/s  ", "muted")]
    room = width - line_width(now) - line_width(middle) - line_width(right) - 3
    history = strip(list(rates), min(60, room), "area.decode") if room >= 8 else []
    return spread([*now, *middle, *history], right, width)


def answer_facts(record: RequestRecord, now: float) -> list[Line]:
    """Two lines about one request: what was asked, and its numbers."""
    asked: Line = [("  › ", "accent"), (record.preview or "(no text)", "" if record.preview else "dim")]
    prompt = record.prompt_tokens
    numbers: list[Line] = []
    if prompt:
        fresh = max(0, prompt - record.reused_tokens)
        numbers.append(
            [
                (f"{count(prompt)} prompt", "muted"),
                (" = ", "dim"),
                (f"{count(record.reused_tokens)} reused", "reused"),
                (" + ", "dim"),
                (f"{count(fresh)} read", "prefill"),
            ]
        )
    if record.ttft_s is not None:
        numbers.append([("first after ", "muted"), (seconds(record.ttft_s), "")])
    if record.output_tokens:
        numbers.append([(f"{count(record.output_tokens)} written", "decode")])
    numbers.append([("took " if record.ended else "for ", "muted"), (seconds(record.duration_s(now)), "")])
    if record.phase == "failed":
        numbers.insert(0, [(f"HTTP {record.status}", "bad")])
    return [asked, [("    ", ""), *joined(numbers, "  ")]]


def _nothing_yet(record: RequestRecord | None) -> list[Line]:
    if record is None:
        return paragraphs("The text of the selected request arrives here.")
    match record.phase:
        case "queued":
            return paragraphs("It waits for its turn.")
        case "prefill":
            done, total = f"{record.prefill_done:,}", f"{record.prefill_total:,}"
            return paragraphs(f"The prompt is being read: {done} of {total} tokens.")
        case "received" | "decode":
            return paragraphs("Nothing has arrived yet.")
        case _:
            return paragraphs("No text is held for this request; its trace has all of it (t).")
