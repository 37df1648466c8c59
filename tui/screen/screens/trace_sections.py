"""The sections of a trace as lists of blocks. Pure: no Textual, no I/O."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from proxy.events.causes import end_of_cancelled
from tui.client.figures import plural, seconds, size
from tui.client.wire_text import line_text, shorten
from tui.screen.screens.trace_overview import overview
from tui.screen.styled_line import Line
from tui.screen.widgets.collapsible_blocks import Block

if TYPE_CHECKING:
    from proxy.events.tool_call import ToolCall
    from proxy.traces.schema import Trace

ROLE_STYLES = {"user": "lane.main", "assistant": "decode", "system": "accent", "tool": "tool"}


def pretty(value: Any) -> str:
    """JSON for people: indented, characters as they are."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _length(text: str) -> str:
    return plural(len(text), "character")


def request_blocks(trace: Trace) -> list[Block]:
    """What the client sent: parameters, system, tools, messages."""
    body = trace.request.body
    if not isinstance(body, dict):
        return [Block([("Body", "bold")], pretty(body) if body else "(none)", kind="json", open=True)]
    return body_blocks(body)


def body_blocks(body: dict[str, Any]) -> list[Block]:
    """A request body of either API: its long parts as blocks, the rest as parameters."""
    long = {"system", "tools", "messages"}
    rest = {name: value for name, value in body.items() if name not in long}
    blocks = [Block([("Parameters", "bold")], pretty(rest), plural(len(rest), "value"), "json", open=True)]
    if system := body.get("system"):
        blocks += _system(system)
    if isinstance(tools := body.get("tools"), list) and tools:
        blocks.append(Block([("Tools", "bold")], note=plural(len(tools), "tool"), open=False))
        blocks += [_tool(tool) for tool in tools]
    if isinstance(messages := body.get("messages"), list):
        blocks.append(Block([("Messages", "bold")], note=plural(len(messages), "message"), open=True))
        for number, message in enumerate(messages):
            blocks += _message(number, message, last=number == len(messages) - 1)
    return blocks


def _system(system: Any) -> list[Block]:
    parts = system if isinstance(system, list) else [system]
    texts = [part.get("text", pretty(part)) if isinstance(part, dict) else str(part) for part in parts]
    blocks = [Block([("System", "bold")], note=_length("".join(texts)))]
    return blocks + [
        Block([(shorten(line_text(text), 60), "muted")], text, _length(text), level=1, open=True)
        for text in texts
    ]


def _tool(tool: Any) -> Block:
    function = tool.get("function", tool) if isinstance(tool, dict) else {}
    name = line_text(str(function.get("name", "?"))) if isinstance(function, dict) else "?"
    about = line_text(str(function.get("description", ""))) if isinstance(function, dict) else ""
    title: Line = [(name, "tool"), (f"  {shorten(about, 70)}", "dim")]
    return Block(title, pretty(tool), kind="json", level=1)


def _message(number: int, message: Any, last: bool) -> list[Block]:
    if not isinstance(message, dict):
        return [Block([(f"{number} ", "dim"), ("?", "")], pretty(message), kind="json", level=1)]
    role = line_text(str(message.get("role", "?")))
    start: Line = [(f"{number:>3}  ", "dim"), (f"{role:<9} ", ROLE_STYLES.get(role, ""))]
    content = message.get("content")
    extra = {key: value for key, value in message.items() if key not in ("role", "content")}
    blocks = [
        Block([*start, *title], text, _length(text), kind, level=1, open=last)
        for title, text, kind in map(content_part, content if isinstance(content, list) else [content])
        if text
    ]
    if extra:
        blocks.append(
            Block(
                [*start, ("other fields ", "muted"), (", ".join(extra), "")],
                pretty(extra),
                kind="json",
                level=1,
            )
        )
    return blocks


def content_part(part: Any) -> tuple[Line, str, Any]:
    """One content block as a title, its text, and the kind of the text."""
    if part is None:
        return [], "", "text"
    if isinstance(part, str):
        return [(shorten(line_text(part), 80), "muted")], part, "text"
    if not isinstance(part, dict):
        return [("?", "")], pretty(part), "json"
    kind = str(part.get("type", "?"))
    if kind == "text":
        text = str(part.get("text", ""))
        return [(shorten(line_text(text), 80), "muted")], text or "(empty)", "text"
    if kind in ("thinking", "redacted_thinking"):
        text = str(part.get("thinking", part.get("data", "")))
        return [("thinking  ", "thinking"), (shorten(line_text(text), 70), "dim")], text or "(empty)", "text"
    if kind == "tool_use":
        name = line_text(str(part.get("name", "?")))
        return [("tool_use  ", "tool"), (name, "")], pretty(part.get("input")), "json"
    if kind == "tool_result":
        text = _result_text(part.get("content"))
        word: Line = [("tool_result  ", "bad" if part.get("is_error") else "ok")]
        return [*word, (shorten(line_text(text), 70), "muted")], text or "(empty)", "text"
    return [(line_text(kind), "")], pretty(part), "json"


def _result_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content] if content else []
    return "\n".join(
        str(part["text"]) if isinstance(part, dict) and "text" in part else pretty(part) for part in parts
    )


def upstream_blocks(trace: Trace) -> list[Block]:
    """What was sent to the model."""
    if trace.upstream is None:
        return [Block([("Nothing was sent upstream.", "muted")])]
    if isinstance(trace.upstream, dict):
        return body_blocks(trace.upstream)
    return [Block([("Body", "bold")], pretty(trace.upstream), kind="json", open=True)]


def response_blocks(trace: Trace) -> list[Block]:
    """What the client received."""
    response = trace.response
    blocks: list[Block] = []
    if response.error is not None:
        title: Line = [(response.error.type, "bad"), (f"   HTTP {response.status}", "muted")]
        blocks.append(Block(title, response.error.message or "(no message)", open=True))
    if response.cancelled:
        cause = response.error.cause if response.error else ""
        blocks.append(Block([(f"Cancelled: {end_of_cancelled(cause)}.", "warn")]))
    message = response.message or {}
    content = message.get("content")
    for part in content if isinstance(content, list) else [content]:
        part_title, text, kind = content_part(part)
        if text:
            blocks.append(Block(part_title, text, _length(text), kind, open=True))
    rest = {key: value for key, value in message.items() if key != "content"}
    if rest:
        blocks.append(Block([("Message", "bold")], pretty(rest), kind="json"))
    return blocks or [Block([("No answer.", "muted")])]


def tool_blocks(trace: Trace) -> list[Block]:
    """Each call of the answer, from the raw text to the result."""
    if not trace.tool_calls:
        return [Block([("The answer made no tool call.", "muted")])]
    blocks: list[Block] = []
    for call in trace.tool_calls:
        style = {"valid": "ok", "unchecked": "muted", "cut": "warn"}.get(call.verdict, "bad")
        word = call.verdict.replace("_", " ")
        took = seconds(call.duration_s) if call.duration_s is not None else ""
        title: Line = [
            (line_text(call.name), "tool bold"),
            (f"  {word}", style),
            (f"  {line_text(call.id)}", "dim"),
        ]
        blocks.append(Block(title, note=took, open=True))
        blocks += _call_parts(call)
    return blocks


def _call_parts(call: ToolCall) -> list[Block]:
    parts: list[tuple[Line, str, Any]] = []
    if call.raw:
        parts.append(([("as the model wrote it", "label")], call.raw, "text"))
    if read := _read_by(call):
        parts.append(([("read by", "label")], read, "text"))
    if call.repairs:
        parts.append(([("repairs", "warn")], "\n".join(call.repairs), "text"))
    if call.detail:
        parts.append(([("verdict", "bad")], call.detail, "text"))
    if call.input is not None:
        parts.append(([("arguments", "label")], pretty(call.input), "json"))
    if call.result is not None:
        word: Line = [("error", "bad")] if call.is_error else [("result", "label")]
        parts.append((word, call.result or "(empty)", "text"))
    return [
        Block(title, text, _length(text), kind, level=1, open=title[0][0] != "as the model wrote it")
        for title, text, kind in parts
    ]


def _read_by(call: ToolCall) -> str:
    """The family that parsed a call, the number of its tokens, and the grammar's part."""
    tokens = plural(len(call.tokens), "token") if call.tokens else ""
    grammar = "" if call.constrained is None else "constrained" if call.constrained else "unconstrained"
    relaxed = f"relaxed: {call.relaxed}" if call.relaxed else ""
    return "\n".join(part for part in (call.family, tokens, grammar, relaxed) if part)


def header_blocks(trace: Trace) -> list[Block]:
    """The request's line and headers."""
    request = trace.request
    where = f"{request.method} {request.path}{'?' + request.query if request.query else ''}"
    cells = max((len(name) for name in request.headers), default=0) + 2

    def lines(width: int) -> list[Line]:
        return [
            [(f"{line_text(name):<{cells}}", "label"), (shorten(line_text(value), max(8, width - cells)), "")]
            for name, value in sorted(request.headers.items())
        ]

    note = plural(len(request.headers), "header")
    return [Block([(line_text(where), "bold")], lines if request.headers else "(none)", note, open=True)]


def note_blocks(trace: Trace) -> list[Block]:
    """Notes of the translation of request and answer."""
    if not trace.notes:
        return [Block([("No notes.", "muted")])]
    return [Block([("Notes", "bold")], "\n".join(f"· {note}" for note in trace.notes), open=True)]


SECTIONS: tuple[tuple[str, Callable[[Trace], list[Block]]], ...] = (
    ("Overview", overview),
    ("Request", request_blocks),
    ("Upstream", upstream_blocks),
    ("Response", response_blocks),
    ("Tools", tool_blocks),
    ("Headers", header_blocks),
    ("Notes", note_blocks),
)


def weight(trace: Trace) -> str:
    """The size of the request."""
    return size(len(pretty(trace.request.body).encode()))
