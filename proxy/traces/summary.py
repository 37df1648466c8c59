"""One row of the trace list, made of a whole trace: the same row whether the trace is new or read back."""

from __future__ import annotations

from typing import Any

from proxy.anthropic.preview import preview
from proxy.events.causes import cause_of
from proxy.traces.schema import Trace, TraceSummary


def summarize(trace: Trace, path: str, size: int) -> TraceSummary:
    """The row of a trace that lies at `path` (relative to the traces folder) and has `size` bytes."""
    body = trace.request.body if isinstance(trace.request.body, dict) else {}
    answer = trace.response
    return TraceSummary(
        id=trace.id,
        time=trace.time,
        session=trace.session,
        agent=trace.agent,
        lane=trace.lane,
        backend=trace.backend,
        model=trace.model,
        status=answer.status,
        stop_reason=str((answer.message or {}).get("stop_reason") or ""),
        error=answer.error.message if answer.error else "",
        cause=answer.error.cause or cause_of(answer.error.type, answer.error.message) if answer.error else "",
        retry_of=trace.retry_of,
        stream=body.get("stream") is True,
        messages=_length(body.get("messages")),
        tools=_length(body.get("tools")),
        usage=trace.usage,
        ttft_s=trace.timings.first_token,
        duration_s=trace.timings.done,
        tool_calls=len(trace.tool_calls),
        tool_errors=sum(call.is_error is True for call in trace.tool_calls),
        preview=preview(body.get("messages")),
        path=path,
        bytes=size,
        own_command=trace.own_command,
    )


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0
