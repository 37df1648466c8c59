"""Anthropic messages as the messages of OpenTelemetry's GenAI conventions. Pure.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/: `gen_ai.input.messages` and
`gen_ai.output.messages` are lists of messages with a role and parts, and each part has a type.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def input_messages(messages: Any) -> list[dict[str, Any]] | None:
    """The messages of a request; None where it has none."""
    if not isinstance(messages, list):
        return None
    return [
        {"role": str(one.get("role")), "parts": parts(one.get("content"))}
        for one in messages
        if isinstance(one, dict)
    ]


def output_messages(message: Any) -> list[dict[str, Any]] | None:
    """The one message of an answer, with its finish reason; None where there is none."""
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return None
    reason = str(message.get("stop_reason") or "")
    return [{"role": "assistant", "parts": parts(message["content"]), "finish_reason": reason}]


def parts(content: Any) -> list[dict[str, Any]]:
    """The parts of a message's content, or of a system text."""
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    return list(_parts(content)) if isinstance(content, list) else []


def _parts(blocks: list[Any]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        match block:
            case {"type": "text", "text": text}:
                yield {"type": "text", "content": text}
            case {"type": "thinking", "thinking": text}:
                yield {"type": "reasoning", "content": text}
            case {"type": "tool_use", "id": call, "name": name}:
                yield {"type": "tool_call", "id": call, "name": name, "arguments": block.get("input")}
            case {"type": "tool_result", "tool_use_id": call}:
                yield {"type": "tool_call_response", "id": call, "response": block.get("content")}
            case dict():  # the conventions allow parts of other types, with any fields
                yield {**block, "type": str(block.get("type"))}
