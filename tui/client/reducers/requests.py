"""The requests that the screen knows, and the text of the newest ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from proxy.events.causes import cause_of, end_of_cancelled, with_cause
from tui.client.records import CallNote, RequestSnapshot, SessionSnapshot
from tui.client.reducers.history import Buckets
from tui.client.reducers.sessions import SessionReducer
from tui.client.reducers.transcript import Transcript, TranscriptPiece
from tui.client.wire_text import line_text, within

if TYPE_CHECKING:
    from proxy.events.types import Event, Timings

LIMIT, TRANSCRIPTS = 2000, 80
CALLS = 50  # of one request that its record names
BURST_S = 0.05  # no model writes an answer in less
SAID, DRAFT = 300, 600  # characters of an answer's end, and of a call's beginning


def request_key(name: str | None) -> str:
    """A request's id as the reducers use it."""
    return line_text(name or "?", 80)


class RequestReducer:
    """Requests in the order of their arrival, at most `limit`; active ones are never forgotten."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._records: dict[str, RequestSnapshot] = {}
        self._transcripts: dict[str, Transcript] = {}
        self._snapshot: tuple[RequestSnapshot, ...] | None = ()
        self._sessions = SessionReducer()
        self.output_rate = Buckets()  # output tokens of all requests
        self.traced = 0  # traces that were written

    def records(self) -> tuple[RequestSnapshot, ...]:
        """All records; the same tuple as long as nothing changed."""
        if self._snapshot is None:
            self._snapshot = tuple(self._records.values())
        return self._snapshot

    def sessions(self) -> tuple[SessionSnapshot, ...]:
        """All records by session; the same tuple as long as nothing changed."""
        return self._sessions.sessions(self._records)

    def get(self, name: str | None) -> RequestSnapshot | None:
        """The record of a request id as it came in."""
        return self._records.get(request_key(name))

    def transcript(self, key: str) -> Transcript | None:
        """The text of a request's answer, if it is still held."""
        return self._transcripts.get(key)

    def forget_texts(self) -> None:
        """Hold no text of any answer."""
        self._transcripts.clear()

    def apply(self, event: Event, data: Any) -> None:
        """Take one `request.*` event."""
        match event.type:
            case "request.received":
                self._received(event, data)
            case "request.queued":
                self._put(replace(self._at(event), phase="queued", position=max(0, data.position)))
            case "request.prefill":
                self._prefill(event, data)
            case "request.first_token":
                change = {"phase": "decode", "ttft_s": data.ttft_s, "usage": data.usage, "cache": data.cache}
                self._put(replace(self._at(event), **change))
            case "request.delta":
                self._delta(event, data)
            case "request.finished":
                self._finished(event, data)
            case "request.failed":
                self._failed(event, data)

    def note_call(self, event: Event, call: CallNote) -> RequestSnapshot:
        """Count a tool call of the event's request and write it into its transcript."""
        record = self._at(event)
        about, file = (within(text, record.folder) for text in (call.about, call.file))
        call = replace(call, about=about, file=file)
        calls = (*record.calls, call) if len(record.calls) < CALLS else record.calls
        record = replace(record, tool_calls=record.tool_calls + 1, calls=calls, draft="", draft_tool="")
        self._put(record)
        self._write(record.id, TranscriptPiece("call", f"{call.name}  {call.about}", call=call.id))
        return record

    def note_result(self, request: str, call: str, failed: bool) -> None:
        """Note how a call of a request has ended."""
        record = self._records.get(request)
        if record is not None and any(note.id == call for note in record.calls):
            calls = (replace(note, failed=failed) if note.id == call else note for note in record.calls)
            self._put(replace(record, calls=tuple(calls)))

    def give_up(self, before: float, silent_since: float) -> bool:
        """End active requests that were silent since `silent_since` and before the loss at `before`."""
        last = min(before, silent_since)
        gone = [item for item in self._records.values() if item.active and item.updated <= last]
        for record in gone:
            self._put(replace(record, phase="lost", ended=record.updated))
        return bool(gone)

    def _at(self, event: Event) -> RequestSnapshot:
        """The record that an event is about; a new one where its beginning was not seen."""
        return replace(self._known(event), updated=event.time)

    def _known(self, event: Event) -> RequestSnapshot:
        """That record as it was before."""
        key = request_key(event.request)
        return self._records.get(key) or RequestSnapshot(id=key, received=event.time, updated=event.time)

    def _put(self, record: RequestSnapshot) -> None:
        self._sessions.note(record, self._records.get(record.id))
        self._records[record.id] = record
        self._snapshot = None
        self._link_repeat(record)
        if len(self._records) > self._limit:
            oldest = next((key for key, item in self._records.items() if not item.active), None)
            if oldest is not None:
                self._sessions.forget(self._records.pop(oldest))

    def _link_repeat(self, record: RequestSnapshot) -> None:
        """Note at the failures that `record` repeats how it stands; the last of several repeats counts."""
        seen = {record.id}
        repeat = record.repeat or (record.received, record.phase)
        while record.retry_of not in seen and (failed := self._records.get(record.retry_of)) is not None:
            if failed.repeat == repeat:
                return
            seen.add(failed.id)
            record = self._records[failed.id] = replace(failed, repeat=repeat)
            self._sessions.note(record, failed)

    def _write(self, key: str, piece: TranscriptPiece) -> None:
        transcript = self._transcripts.get(key)
        if transcript is None:
            transcript = self._transcripts[key] = Transcript()
            while len(self._transcripts) > TRANSCRIPTS:
                del self._transcripts[next(iter(self._transcripts))]
        transcript.append(piece)

    def _received(self, event: Event, data: Any) -> None:
        self._put(
            replace(
                self._at(event),
                session=line_text(data.session, 80),
                agent=line_text(data.agent, 80),
                agent_type=line_text(data.agent_type, 80),
                lane=data.lane,
                model=line_text(data.model, 200),
                backend=line_text(data.backend, 80),
                stream=data.stream,
                messages=data.messages,
                tools=data.tools,
                body_bytes=data.body_bytes,
                preview=line_text(data.preview, 400),
                opening=line_text(data.opening, 400),
                purpose=line_text(data.purpose, 40),
                max_tokens=max(0, data.max_tokens),
                folder=line_text(data.folder, 1000),
                retry_of=line_text(data.retry_of, 80),
            )
        )

    def _prefill(self, event: Event, data: Any) -> None:
        total = max(0, data.total)
        done = min(max(0, data.done), total)
        cached = min(max(0, data.cached), done)
        prefill = data.model_copy(update={"done": done, "total": total, "cached": cached})
        record = self._at(event)
        began = record.prefill_began or event.time
        self._put(replace(record, phase="prefill", prefill=prefill, prefill_began=began))

    def _delta(self, event: Event, data: Any) -> None:
        record = self._known(event)  # changed once: most events are of this kind
        said: dict[str, Any] = {}
        if data.output_tokens > record.output_tokens:
            self.output_rate.add(event.time, data.output_tokens - record.output_tokens)
        output = max(record.output_tokens, data.output_tokens)
        tool = line_text(data.tool, 80)
        if data.kind == "tool":
            begun = record.draft if tool == record.draft_tool else ""
            said = {"draft": (begun + data.text[:DRAFT])[:DRAFT], "draft_tool": tool}
        elif data.text:
            thinks = data.kind == "thinking"
            before = record.said if thinks == record.thinks else ""
            text = (before + data.text[-SAID:])[-SAID:]
            said = {"said": text, "thinks": thinks, "draft": "", "draft_tool": ""}
        speed = data.tokens_per_s
        self._put(
            replace(
                record, updated=event.time, phase="decode", output_tokens=output, tokens_per_s=speed, **said
            )
        )
        self._write(record.id, TranscriptPiece(data.kind, data.text, tool=tool))

    def _finished(self, event: Event, data: Any) -> None:
        record = self._at(event)
        more = data.usage.output_tokens - record.output_tokens
        if more > 0:
            took = _decode_s(data.timings)
            if took < BURST_S:  # it came in one piece, and was written while the request waited for it
                took = max(0.0, event.time - record.received)
            self.output_rate.spread(event.time - took, event.time, more)
        first_token = data.timings.first_token
        self._end(
            replace(
                record,
                phase="done",
                ended=_end_time(record, event, data.timings),
                status=data.status,
                stop_reason=line_text(data.stop_reason, 80),
                usage=data.usage,
                output_tokens=data.usage.output_tokens,
                tokens_per_s=data.tokens_per_s or record.tokens_per_s,
                ttft_s=record.ttft_s if first_token is None else first_token,
                cache=data.cache or record.cache,
                trace=line_text(data.trace, 300),
            )
        )
        if title := line_text(data.title, 200):
            self._sessions.entitle(record.session, title)

    def _failed(self, event: Event, data: Any) -> None:
        record = self._at(event)
        error = line_text(data.error.message, 400)
        cause = line_text(data.error.cause, 60) or cause_of(line_text(data.error.type, 60), error)
        end = end_of_cancelled(cause) if data.cancelled else with_cause(cause, error)
        self._write(record.id, TranscriptPiece("error", end))
        self._end(
            replace(
                record,
                phase="cancelled" if data.cancelled else "failed",
                ended=_end_time(record, event, data.timings),
                status=data.status,
                error=error,
                cause=cause,
                usage=data.usage if data.usage.prompt_tokens else record.usage,
                output_tokens=max(record.output_tokens, data.usage.output_tokens),
                trace=line_text(data.trace, 300),
            )
        )

    def _end(self, record: RequestSnapshot) -> None:
        self.traced += bool(record.trace)
        self._put(record)


def _end_time(record: RequestSnapshot, event: Event, timings: Timings) -> float:
    """When the answer was complete: its event comes later, after the trace is written."""
    return event.time if timings.done is None else record.received + timings.done


def _decode_s(timings: Any) -> float:
    if timings.first_token is None or timings.last_token is None:
        return 0.0
    return float(max(0.0, timings.last_token - timings.first_token))
