"""What holds in every scenario: no API error is shown, nothing is lost, usage is that of the traces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from proxy.traces.schema import Trace

COUNTS = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
)


def transcript_lines(home: Path) -> list[dict[str, Any]]:
    """The lines of all transcripts in a client's home; a last line that was cut off is left out."""
    lines = []
    for file in sorted((home / ".claude/projects").rglob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
    return lines


def api_errors(lines: Sequence[dict[str, Any]]) -> list[str]:
    """The API errors that the client has shown, as its transcripts have them."""
    return [f"API error shown: {_brief(line['message'])}" for line in lines if line.get("isApiErrorMessage")]


def usage_differences(lines: Sequence[dict[str, Any]], traces: Sequence[Trace]) -> list[str]:
    """Answers whose usage in the transcripts is not that of their trace.

    The client never gets the last counts of an answer that it interrupts: of those the input is compared,
    and not even that where the upstream tells it with its last chunk, so that the answer began with zeros.
    """
    of_message = {
        trace.response.message["id"]: trace
        for trace in traces
        if trace.response.message and trace.response.message.get("id")
    }
    answers = {
        line["message"]["id"]: line["message"]
        for line in lines
        if line.get("type") == "assistant"
        and not line.get("isApiErrorMessage")
        and line["message"].get("model") != "<synthetic>"
    }
    different = []
    for identity, message in answers.items():
        trace = of_message.get(identity)
        if trace is None:
            different.append(f"answer {identity} of the transcript has no trace")
            continue
        interrupted = not message.get("stop_reason")
        names = COUNTS[:3] if interrupted else COUNTS
        theirs = [message["usage"].get(name) for name in names]
        if interrupted and not any(theirs):
            continue
        ours = [getattr(trace.usage, name) for name in names]
        if theirs != ours:
            different.append(f"usage of {identity}: transcript {theirs}, trace {ours}")
    return different


def losses(traces: Sequence[Trace]) -> list[str]:
    """Texts, calls, pictures and tools of the client's requests that their upstream bodies lack."""
    lost = []
    for trace in traces:
        if not isinstance(trace.upstream, dict) or "messages" not in (trace.request.body or {}):
            continue
        arrived = "\n".join(_strings(trace.upstream))
        for text in _sent(trace.request.body):
            if text.strip() and text.strip() not in arrived:
                lost.append(f"{trace.id}: did not reach the model: {text.strip()[:160]!r}")
    return lost


def _sent(body: dict[str, Any]) -> Iterator[str]:
    system = body.get("system") or []
    for block in [{"text": system}] if isinstance(system, str) else system:
        if not block["text"].startswith("x-anthropic-billing-header"):
            yield block["text"]
    for message in body["messages"]:
        content = message["content"]
        yield from [content] if isinstance(content, str) else _texts(content)


def _texts(blocks: Sequence[dict[str, Any]]) -> Iterator[str]:
    for block in blocks:
        match block["type"]:
            case "text":
                yield block["text"]
            case "tool_use":
                yield block["name"]
                yield from _strings(block["input"])
            case "tool_result":
                content = block.get("content") or ""
                yield from [content] if isinstance(content, str) else _texts(content)
            case "tool_reference":
                yield block["tool_name"]


def _strings(value: Any) -> Iterator[str]:
    """All strings in a JSON value, those in the JSON texts of calls too."""
    match value:
        case str():
            yield value
        case dict():
            for key, inner in value.items():
                if key == "arguments" and isinstance(inner, str):
                    try:
                        yield from _strings(json.loads(inner))
                    except ValueError:
                        pass
                yield from _strings(inner)
        case list():
            for inner in value:
                yield from _strings(inner)


def strings_of(value: Any) -> str:
    """All strings in a JSON value, a line for each."""
    return "\n".join(_strings(value))


def _brief(message: dict[str, Any]) -> str:
    return strings_of(message.get("content"))[:300]
