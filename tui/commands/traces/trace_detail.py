"""All that a trace holds, as text for people: prompt, answer, calls with their results. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from engine.wire.json_text import encode_json
from proxy.traces.analysis.comparing.diff import segments
from proxy.traces.analysis.new_text import content_texts
from proxy.traces.schema import Trace
from tui.client.figures import count
from tui.client.wire_text import block_text, line_text


def trace_detail(trace: Trace) -> str:
    """Each part under a line with its name and its size."""
    lines: list[str] = []
    for name, text in _parts(trace):
        lines += ["", f"--- {line_text(name)}, {count(len(text))} characters", *block_text(text).split("\n")]
    return "\n".join(lines) + "\n"


def _parts(trace: Trace) -> Iterator[tuple[str, str]]:
    headers = trace.request.headers
    yield "headers", "\n".join(f"{name}: {value}" for name, value in headers.items())
    for segment in segments(trace):
        yield segment.name, segment.text
    message = trace.response.message or {}
    yield "answer", "\n".join(content_texts(message.get("content")))
    for number, call in enumerate(trace.tool_calls, 1):
        yield f"call {number}: {call.name}, as the model wrote it", call.raw
        yield f"call {number}: input", encode_json(call.input).decode()
        if call.result is not None:
            yield f"call {number}: result", call.result
