"""One answer as it arrives: the user's text, then text, thoughts and tool calls as what they are."""

from __future__ import annotations

from itertools import groupby

from textual.app import ComposeResult

from proxy.events.causes import end_of_cancelled, with_cause
from tui.client.figures import count, plural, seconds
from tui.client.records import CallNote, RequestSnapshot
from tui.client.reducers.requests import SAID
from tui.client.reducers.transcript import Transcript, TranscriptPiece
from tui.client.store import Store
from tui.screen.calls.call_draft import CallDraft, read_draft
from tui.screen.calls.call_lines import call_lines, draft_lines
from tui.screen.frames.ground import Stack
from tui.screen.keymap import key_of
from tui.screen.panes.pane import paragraphs, way_to_newest
from tui.screen.panes.request_cells import asker, session
from tui.screen.styled_line import Line, joined, joined_lines, line_width
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.text_tail import TextTail

_SIGNS = {"error": "✗ ", "thinking": "┊ "}  # before the first line of each: not all terminals draw italics
PIECE_STYLES = {"text": "", "thinking": "thinking italic", "error": "bad"}
CALLS = ("call", "tool")


class AnswerView(Stack):
    """The answer of the request that `show` is given; where its end is in sight, it follows what is new."""

    def __init__(self, store: Store) -> None:
        super().__init__(id="answer")
        self._store = store
        self._record: RequestSnapshot | None = None
        self._now = 0.0
        self._shown = ""  # the request whose text is in the tail
        self._pieces_shown = 0  # of its transcript
        self._drafted = (0, 0, "")  # where the call begins that is being written, its pieces and tool
        self._calls: tuple[CallNote, ...] = ()  # as they stood then
        self._kind = ""  # of the last piece
        self._line_ended = False  # by the last piece

    def compose(self) -> ComposeResult:
        yield Heading("Answer", id="answer-heading")
        yield Canvas(self._facts, id="answer-facts")
        yield TextTail(id="answer-text")

    @property
    def tail(self) -> TextTail:
        """The text."""
        return self.query_one(TextTail)

    def show(self, record: RequestSnapshot | None, now: float, *, named: bool = False) -> None:
        """Show the answer of `record`, with `named` also the session that it is of."""
        self._record, self._now = record, now
        tail = self.tail
        if (record.id if record else "") != self._shown:
            self._shown = record.id if record else ""
            self._begin()
            self._calls = record.calls if record else ()
        transcript = self._store.transcript(self._shown) if record else None
        if record is not None and transcript is not None:
            self._take(record, transcript)
        elif record is not None and not record.active:
            tail.set_draft(self._remembered(record))
        tail.empty = _nothing_yet(record)
        tail.sync()
        self._draw_heading(named)
        self.query_one("#answer-facts", Canvas).paint()

    @property
    def _is_cut_off(self) -> bool:
        """Whether the host is gone: then nothing more of it comes."""
        return self._store.snapshot().link.gone

    def _begin(self) -> None:
        self._pieces_shown, self._drafted, self._kind = 0, (0, 0, ""), ""
        self.tail.clear()

    def _take(self, record: RequestSnapshot, transcript: Transcript) -> None:
        """Add what is new. A call is a draft until it is whole, and written anew with its result."""
        tail = self.tail
        if record.calls[: len(self._calls)] != self._calls and tail.following:
            self._begin()  # what somebody reads further up stays as it is
        self._calls = record.calls
        written = transcript.draft() if record.active else []
        settled = transcript.end - len(written)
        if settled > self._pieces_shown:
            pieces = transcript.since(self._pieces_shown)
            tail.add(self._styled(pieces[: len(pieces) - len(written)]))
            self._pieces_shown = settled
        drafted = (settled, len(written), written[-1].tool if written else "")
        if self._drafted != drafted:
            self._drafted = drafted
            tail.set_draft(self._draft(written) if written else ())

    @property
    def _folder(self) -> str:
        return self._record.folder if self._record is not None else ""

    def _draft(self, pieces: list[TranscriptPiece]) -> list[Line]:
        gap: list[Line] = [[]] if self._kind and not (self._kind == "call" or self._line_ended) else []
        return [*gap, *draft_lines(_read(pieces), folder=self._folder)]

    def _styled(self, pieces: list[TranscriptPiece]) -> list[tuple[str, str]]:
        """Pieces as texts with styles; each change of kind starts a new line."""
        out: list[tuple[str, str]] = []
        for (kind, _), run in groupby(pieces, key=_run):
            same = list(run)
            first, last = same[0], same[-1]
            if self._kind and (kind != self._kind or kind in CALLS):
                calls = kind in CALLS and self._kind in CALLS
                out.append(("\n" if calls or self._line_ended else "\n\n", ""))
            if kind == "call":
                call = self._store.tool_call(first.call)
                lines = call_lines(call, folder=self._folder) if call is not None else []
                out += joined_lines(lines) if lines else [(f"▸ {first.text}", "tool")]
            elif kind == "tool":  # it never became a call
                out += joined_lines(draft_lines(_read(same), folder=self._folder, writing=False))
            else:
                sign = _SIGNS.get(kind, "") if kind != self._kind else ""
                out += [(sign + first.text, PIECE_STYLES[kind])]
                out += [(piece.text, PIECE_STYLES[kind]) for piece in same[1:]]
            self._kind, self._line_ended = kind, kind not in CALLS and last.text.endswith("\n")
        return out

    def _remembered(self, record: RequestSnapshot) -> list[Line]:
        """What is known of an answer whose text is held no longer: its end, its calls, how it failed."""
        failed: list[Line] = []
        if record.phase in ("failed", "cancelled"):
            end = end_of_cancelled(record.cause) if record.phase == "cancelled" else None
            failed = [[], [(_SIGNS["error"] + (end or with_cause(record.cause, record.error)), "bad")]]
        if not (record.said.strip() or record.calls):
            return failed
        cut = "…" if len(record.said) >= SAID else ""
        part = "the end of this answer's text" if cut else "the last text of this answer"
        told = f"Held here: {part}, and its calls; its trace has all of it ({key_of('main.open_trace')})."
        lines: list[Line] = [[], [(told, "dim")], []]
        if record.said.strip():
            style = PIECE_STYLES["thinking" if record.thinks else "text"]
            lines += [[(line, style)] for line in (cut + record.said.strip()).split("\n")]
        for note in record.calls:
            call = self._store.tool_call(note.id)
            lines += [[], *call_lines(call, folder=record.folder)] if call is not None else []
        return lines + failed

    # -- pure drawing -------------------------------------------------------------------------------------

    def _draw_heading(self, named: bool) -> None:
        record, tail = self._record, self.tail
        title: Line = [("Answer", "bold")]
        if record is not None:
            title += [("  ", ""), session(record.session)] if named else []
            title += [("  ", ""), asker(record.lane, record.who)]
        note: Line = []
        if tail.pending:
            note = way_to_newest(tail, f"{plural(tail.pending, 'line')} below", "end")
        elif record is not None and record.phase == "decode" and tail.following and not self._is_cut_off:
            note = [("following", "dim")]
        self.query_one("#answer-heading", Heading).set_text(title, note)

    def _facts(self, width: int, height: int) -> list[Line]:
        return answer_facts(self._record, self._now, width) if self._record is not None else []


def _run(piece: TranscriptPiece) -> tuple[str, str]:
    """Pieces in a row that this is the same of are shown as one."""
    return piece.kind, piece.call or piece.tool


def _read(pieces: list[TranscriptPiece]) -> CallDraft:
    return read_draft("".join(piece.text for piece in pieces), pieces[-1].tool)


def answer_facts(record: RequestSnapshot, now: float, width: int = 0) -> list[Line]:
    """Two lines about one request: the user's text, and as many of the numbers as `width` has room for."""
    asked: Line = [("  › ", "accent"), (record.preview or "(no text)", "" if record.preview else "dim")]
    prompt = record.prompt_tokens
    numbers: list[Line] = []
    if prompt:
        numbers.append([(f"{count(prompt)} prompt", "muted"), *_read_of(record)])
    numbers.append([("took " if record.ended else "for ", "muted"), (seconds(record.duration_s(now)), "")])
    if record.output_tokens:
        numbers.append([(f"{count(record.output_tokens)} out", "decode")])
    if record.ttft_s is not None:
        numbers.append([("TTFT ", "muted"), (seconds(record.ttft_s), "")])
    if record.phase == "failed":
        numbers.insert(0, [(f"HTTP {record.status}", "bad")])
    while width and len(numbers) > 1 and line_width(joined(numbers, "  ")) > width - 4:
        numbers.pop()  # a number that is cut off would be another one
    return [asked, [("    ", ""), *joined(numbers, "  ")]]


def _read_of(record: RequestSnapshot) -> Line:
    """What of the prompt was restored, prefilled and left; nothing where its server does not say."""
    if not record.reports_reuse:
        return []
    restored, prefilled = record.reused_tokens, record.prefilled_tokens
    line: Line = [(" = ", "dim"), (f"{count(restored)} restored █", "restored")]
    if prefilled is None:
        return [*line, (" + ", "dim"), ("not known how far it was read", "muted")]
    line += [(" + ", "dim"), (f"{count(prefilled)} prefilled ▒", "prefill")]
    if left := max(0, record.prompt_tokens - restored - prefilled):
        line += [
            (" + ", "dim"),
            (f"{count(left)} {'to come' if record.active else 'not reached'} ░", "muted"),
        ]
    return line


def _nothing_yet(record: RequestSnapshot | None) -> list[Line]:
    if record is None:
        return paragraphs("The answer of the selected turn appears here.")
    match record.phase:
        case "queued":
            return paragraphs("Queued.")
        case "prefill" if record.prefill is not None:
            return paragraphs(f"Prefill: {record.prefill.done:,} of {record.prefill.total:,} tokens.")
        case "received" | "decode":
            return paragraphs("No text yet.")
        case _:
            return paragraphs(
                f"The text is no longer in memory; the trace has it ({key_of('main.open_trace')})."
            )
