"""What happened before the events that a host still holds, as the same events, made of its traces."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from proxy.anthropic.compaction import longest_answer
from proxy.anthropic.preview import opening
from proxy.anthropic.project_text import working_directory
from proxy.anthropic.side_requests import purpose, title_of
from proxy.events.tool_call import ToolCall
from proxy.events.types import (
    CacheMissed,
    ErrorInfo,
    Event,
    EventData,
    RequestDelta,
    RequestFailed,
    RequestFinished,
    RequestReceived,
    RequestToolCall,
    RequestToolResult,
    Timings,
)
from proxy.record.request_record import PREVIEW_LENGTH
from proxy.traces.analysis.decode_speed import decode_speed
from proxy.traces.reading import TraceUnreadable, read_trace

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.traces.index import TraceIndex
    from proxy.traces.schema import Trace, TraceSummary

CLIENT_CLOSED_REQUEST = 499  # as `proxy.api.messages` records a request that the client cancelled
LAST_WORDS = 300  # characters of an answer's text that are told
MOST_BYTES = 16 << 20  # of traces that are read: a screen waits for its beginning


def past_events(folder: Path, index: TraceIndex, *, limit: int, before: float) -> list[Event]:
    """The events of the newest `limit` requests that came before a moment (epoch seconds), oldest first.

    Of an answer's text only the end is told. Of traces beyond `MOST_BYTES` only the row in the list is used,
    which has no calls and no text. Their `seq` is 0.
    Blocks. Raises `sqlite3.Error` where the index cannot be used.
    """
    whole: list[list[Event]] = []
    room = MOST_BYTES
    for row in index.page(limit=limit, before=str(before)).traces:
        trace = None
        room -= row.bytes
        if room >= 0:
            with suppress(TraceUnreadable):
                trace = read_trace(folder / row.path)
        whole.append(_events(row, trace))
    return [event for events in reversed(whole) for event in events]


def _events(row: TraceSummary, trace: Trace | None) -> list[Event]:
    timings = trace.timings if trace else Timings(first_token=row.ttft_s, done=row.duration_s)
    cache = trace.cache if trace else None
    calls = trace.tool_calls if trace else []
    ended = row.time + (timings.done or 0.0)
    made = [_event(row, row.time, "request.received", _received(row, trace))]
    if cache is not None and cache.miss is not None:
        missed = CacheMissed(miss=cache.miss, tokens=cache.prompt_tokens - cache.matched_tokens)
        made.append(_event(row, row.time, "cache.missed", missed))
    if trace is not None and (words := _last_words(trace)):
        made.append(_event(row, ended, "request.delta", RequestDelta(text=words)))
    for call in calls:
        made.append(_event(row, ended, "request.tool_call", _call(row, call)))
    if row.error or row.status >= 400:
        error = trace.response.error if trace else None
        failed = RequestFailed(
            status=row.status,
            error=error or ErrorInfo(type="api_error", message=row.error, cause=row.cause),
            usage=row.usage,
            timings=timings,
            trace=row.path,
            cancelled=row.status == CLIENT_CLOSED_REQUEST,
        )
        made.append(_event(row, ended, "request.failed", failed))
    else:
        finished = RequestFinished(
            status=row.status,
            stop_reason=row.stop_reason,
            usage=row.usage,
            timings=timings,
            cache=cache,
            tokens_per_s=decode_speed(timings, row.usage.output_tokens),
            trace=row.path,
            title=title_of(trace.response.message, row.lane) if trace else "",
        )
        made.append(_event(row, ended, "request.finished", finished))
    for call in calls:
        if call.is_error is not None:
            at = ended + (call.duration_s or 0.0)
            made.append(_event(row, at, "request.tool_result", _result(row, call)))
    return made


def _event(row: TraceSummary, at: float, type: str, data: EventData) -> Event:
    return Event(seq=0, time=at, type=type, request=row.id, data=data.model_dump())


def _last_words(trace: Trace) -> str:
    """The end of the last text in an answer."""
    content = (trace.response.message or {}).get("content")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    texts = [text for block in blocks if isinstance(text := block.get("text"), str) and text.strip()]
    return texts[-1].rstrip()[-LAST_WORDS:] if texts else ""


def _received(row: TraceSummary, trace: Trace | None) -> RequestReceived:
    body = trace.request.body if trace and isinstance(trace.request.body, dict) else {}
    return RequestReceived(
        session=row.session,
        agent=row.agent,
        agent_type=trace.agent_type if trace else "",
        prompt_id=trace.prompt_id if trace else "",
        lane=row.lane,
        model=row.model,
        backend=row.backend,
        stream=row.stream,
        messages=row.messages,
        tools=row.tools,
        preview=row.preview,
        opening=opening(body.get("messages")),
        purpose=purpose(body, row.lane),
        max_tokens=longest_answer(body),
        folder=working_directory(body),
        retry_of=row.retry_of,
    )


def _call(row: TraceSummary, call: ToolCall) -> RequestToolCall:
    known = call.model_dump(include=set(RequestToolCall.model_fields))
    return RequestToolCall(tool_use_id=call.id, raw_tokens=len(call.tokens), session=row.session, **known)


def _result(row: TraceSummary, call: ToolCall) -> RequestToolResult:
    text = call.result or ""
    return RequestToolResult(
        tool_use_id=call.id,
        name=call.name,
        call_request=row.id,
        is_error=bool(call.is_error),
        duration_s=call.duration_s,
        result_bytes=len(text.encode(errors="replace")),
        preview=text[:PREVIEW_LENGTH],
        session=row.session,
    )
