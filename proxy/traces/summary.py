"""One row of the trace list, made of a whole trace: the same row whether the trace is new or read back."""

from __future__ import annotations

from typing import Any

from proxy.anthropic.preview import PREVIEW_LENGTH, preview, turns
from proxy.anthropic.side_requests import purpose, title_of
from proxy.events.arguments import in_a_word, one_line
from proxy.events.causes import cause_of
from proxy.events.tool_call import ToolCall
from proxy.traces.schema import CallSummary, Trace, TraceSummary

MOST_CALLS = 4  # of an answer, in its row
_NAME_LENGTH, _ABOUT_LENGTH = 80, 80


def summarize(trace: Trace, path: str, size: int) -> TraceSummary:
    """The row of a trace that lies at `path` (relative to the traces folder) and has `size` bytes."""
    body = trace.request.body if isinstance(trace.request.body, dict) else {}
    answer = trace.response
    return TraceSummary(
        id=trace.id,
        time=trace.time,
        session=trace.session,
        agent=trace.agent,
        agent_type=trace.agent_type[:_NAME_LENGTH],
        lane=trace.lane,
        purpose=purpose(body, trace.lane),
        backend=trace.backend,
        model=trace.model,
        status=answer.status,
        stop_reason=str((answer.message or {}).get("stop_reason") or ""),
        error=answer.error.message if answer.error else "",
        cause=answer.error.cause or cause_of(answer.error.type, answer.error.message) if answer.error else "",
        retry_of=trace.retry_of,
        stream=body.get("stream") is True,
        messages=turns(body.get("messages")),
        tools=_length(body.get("tools")),
        usage=trace.usage,
        ttft_s=trace.timings.first_token,
        duration_s=trace.timings.done,
        tool_calls=len(trace.tool_calls),
        tool_errors=sum(call.is_error is True for call in trace.tool_calls),
        preview=preview(body.get("messages")),
        did=[_done(call) for call in trace.tool_calls[:MOST_CALLS]],
        said="" if trace.tool_calls else title_of(answer.message, trace.lane) or _said(answer.message),
        path=path,
        bytes=size,
        own_command=trace.own_command,
    )


def _done(call: ToolCall) -> CallSummary:
    about = in_a_word(call.input or {}, _ABOUT_LENGTH)
    return CallSummary(name=call.name[:_NAME_LENGTH], about=about, is_error=call.is_error)


def _said(message: dict[str, Any] | None) -> str:
    content = (message or {}).get("content")
    for block in content if isinstance(content, list) else ():
        match block:
            case {"type": "text", "text": str(text)} if text.strip():
                return one_line(text, PREVIEW_LENGTH)
    return ""


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0
