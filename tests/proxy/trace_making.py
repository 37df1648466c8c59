"""Traces and requests for the tests of the record."""

from __future__ import annotations

from typing import Any

from proxy.events.tool_call import ToolCall
from proxy.events.types import Timings, Usage
from proxy.traces.schema import Trace, TraceRequest, TraceResponse

AT = 1790000000.0


def body_of(*texts: str, **more: Any) -> dict[str, Any]:
    """An Anthropic request with these user texts."""
    messages = [{"role": "user", "content": [{"type": "text", "text": text}]} for text in texts]
    return {"model": "claude-x", "stream": True, "messages": messages, "tools": [{"name": "Read"}], **more}


def trace_of(number: int = 1, *, text: str = "Who are you?", **fields: Any) -> Trace:
    """A finished trace; `number` makes its id and time."""
    made: dict[str, Any] = {
        "id": f"req_{number:04d}",
        "time": AT + number,
        "session": "session-a",
        "backend": "mlx",
        "model": "claude-x",
        "request": TraceRequest(headers={"x": "y"}, body=body_of(text)),
        "response": TraceResponse(status=200, message={"role": "assistant", "stop_reason": "end_turn"}),
        "timings": Timings(received=AT + number, first_token=0.5, done=2.0),
        "usage": Usage(input_tokens=3, output_tokens=5),
    }
    return Trace(**made | fields)


def call_of(call_id: str = "toolu_1", name: str = "Read", **fields: Any) -> ToolCall:
    return ToolCall(**{"id": call_id, "name": name, "input": {"path": "a"}, "verdict": "valid"} | fields)
