"""Finds the results of tool calls in a request."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DURATIONS_HEADER = "x-claude-code-prev-tool-durations"
LONGEST_RESULT = 16_384  # characters of a result in the record of its call


@dataclass(frozen=True, slots=True)
class ToolResult:
    """One `tool_result` block of the last user turn."""

    tool_use_id: str
    name: str  # of the tool; empty if the conversation lacks the call
    text: str  # with a short mark for images and other blocks
    is_error: bool
    duration_s: float | None  # as the client measured it


def tool_results(body: Any, headers: Mapping[str, str]) -> list[ToolResult]:
    """The results in the user turn after the last answer of an Anthropic request body, in their order.

    Invalid bodies have none. Claude Code sends durations as `Read=10;Read=24` (milliseconds), one for each
    call of a tool, in the order of the results.
    """
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list):
        return []
    turn: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for message in reversed(messages):
        if not isinstance(message, dict):
            continue
        blocks = _blocks(message.get("content"))
        if message.get("role") == "assistant":
            names = {str(b.get("id")): str(b.get("name")) for b in blocks if b.get("type") == "tool_use"}
            break
        turn[:0] = [b for b in blocks if b.get("type") == "tool_result"]
    durations = tool_durations(next((v for k, v in headers.items() if k.lower() == DURATIONS_HEADER), ""))
    return [_result(block, names, durations) for block in turn if isinstance(block.get("tool_use_id"), str)]


def tool_durations(header: str) -> dict[str, list[float]]:
    """Seconds by tool name, in order; invalid parts are left out."""
    durations: dict[str, list[float]] = defaultdict(list)
    for part in header.split(";"):
        name, _, milliseconds = part.strip().rpartition("=")
        if name and milliseconds.isascii() and milliseconds.isdigit():
            durations[name].append(int(milliseconds) / 1000)
    return durations


def shortened(text: str, whole_in: str) -> str:
    """The text, truncated at `LONGEST_RESULT`, with a note that names the trace with the whole text."""
    if len(text) <= LONGEST_RESULT:
        return text
    more = len(text) - LONGEST_RESULT
    return f"{text[:LONGEST_RESULT]}\n[… {more} more characters; whole in the trace of {whole_in}]"


def _result(block: dict[str, Any], names: dict[str, str], durations: dict[str, list[float]]) -> ToolResult:
    name = names.get(block["tool_use_id"], "")
    measured = durations.get(name)
    return ToolResult(
        tool_use_id=block["tool_use_id"],
        name=name,
        text=_text(block.get("content")),
        is_error=block.get("is_error") is True,
        duration_s=measured.pop(0) if measured else None,
    )


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for block in _blocks(content):
        text = block.get("text")
        texts.append(
            text if isinstance(text, str) else f"[{block.get('type', 'block')}: {_size(block)} bytes]"
        )
    return "\n".join(texts)


def _size(block: dict[str, Any]) -> int:
    try:
        return len(json.dumps(block))
    except (RecursionError, ValueError):
        return 0
