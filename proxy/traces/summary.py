"""One row of the trace list, made of a whole trace: the same row whether the trace is new or read back."""

from __future__ import annotations

from typing import Any

from proxy.traces.schema import Trace, TraceSummary

_PREVIEW_LENGTH = 160
_HIDDEN = ("<system-reminder>", "<command-", "<local-command-")  # what clients add around the user's words


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
    )


def preview(messages: Any) -> str:
    """The head of the last words of the user among Anthropic messages, on one line; empty without any."""
    if not isinstance(messages, list):
        return ""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            for text in reversed(_texts(message.get("content"))):
                if text.strip() and not text.lstrip().startswith(_HIDDEN):
                    return _one_line(text)
    return ""


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return []
    texts = [
        block.get("text") for block in content if isinstance(block, dict) and block.get("type") == "text"
    ]
    return [text for text in texts if isinstance(text, str)]


def _one_line(text: str) -> str:
    line = " ".join(text[: 4 * _PREVIEW_LENGTH].split())
    return line if len(line) <= _PREVIEW_LENGTH else line[: _PREVIEW_LENGTH - 1] + "…"


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0
