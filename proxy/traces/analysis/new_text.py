"""What a request brings that its conversation did not have before: the text that searches look into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.wire.json_text import encode_json
from proxy.anthropic.prompt_prefix import system_text
from proxy.traces.schema import Trace

MOST_CHARACTERS = 200_000  # of one trace


def new_text(trace: Trace) -> str:
    """The messages behind the last answer that the client sent back, then this answer, its calls, its error.

    A request without an earlier answer begins a conversation: its system text is new as well. Definitions of
    tools are left out. At most 200,000 characters.
    """
    body = trace.request.body if isinstance(trace.request.body, dict) else {}
    parts: list[str] = []
    size = 0
    for part in _parts(body, trace):
        parts.append(part[: MOST_CHARACTERS - size])
        size += len(parts[-1]) + 1
        if size >= MOST_CHARACTERS:
            break
    return "\n".join(parts)


def _parts(body: dict[str, Any], trace: Trace) -> Iterator[str]:
    rows = body.get("messages")
    messages = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    last = max((place for place, row in enumerate(messages) if row.get("role") == "assistant"), default=None)
    if last is None and (system := _system(body.get("system"))):
        yield system
    for message in messages[0 if last is None else last + 1 :]:
        yield from content_texts(message.get("content"))
    yield from content_texts((trace.response.message or {}).get("content"))
    for call in trace.tool_calls:
        if call.input is None:  # what could be read of a call is in the answer
            yield call.raw
    if trace.response.error is not None:
        yield trace.response.error.message


def _system(system: Any) -> str:
    if isinstance(system, list):
        system = [block for block in system if isinstance(block, dict)]
    return system_text(system) if isinstance(system, str | list) else ""


def content_texts(content: Any) -> Iterator[str]:
    """The texts of Anthropic content: text, thoughts, inputs of tools as JSON, results."""
    if isinstance(content, str):
        yield content
        return
    for block in content if isinstance(content, list) else ():
        match block if isinstance(block, dict) else {}:
            case {"type": "text", "text": str(text)} | {"type": "thinking", "thinking": str(text)}:
                yield text
            case {"type": "tool_use" | "server_tool_use", "input": given} as call:
                yield f"{call.get('name') or ''} {encode_json(given).decode()}"
            case {"type": "tool_result", "content": inner}:
                yield from content_texts(inner)
