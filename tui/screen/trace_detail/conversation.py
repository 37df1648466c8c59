"""The messages as the model saw them, in either dialect: texts, thoughts, calls, results, reminders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.traces.analysis.parts.part_tokens import WeighedPiece, piece_tokens
from tui.client.event_text import cleaned, one_line_arguments
from tui.client.figures import count, plural
from tui.client.wire_text import line_text, shorten
from tui.screen.reading.readable import call_to_read, result_to_read
from tui.screen.styled_line import Line
from tui.screen.trace_detail.opened_trace import OpenedTrace, characters, json_size, pretty
from tui.screen.trace_detail.wrapped_calls import wrapped_call
from tui.screen.widgets.block_layout import Block

_TAG = re.compile("</?system-reminder>")
# At the beginning of a line: Claude Code's system text speaks of such blocks.
_REMINDER = re.compile(r"(^<system-reminder>.*?(?:</system-reminder>|\Z))", re.DOTALL | re.MULTILINE)
_ROLES = {"user": "lane.main", "assistant": "decode", "system": "accent"}
# Lines of a long one that are shown while it is folded.
_TEXT, _THOUGHT, _CALL, _RESULT = 12, 3, 8, 4
_TITLE = 72


@dataclass(frozen=True)
class Said:
    """A piece of a message."""

    number: int  # of its message, from 1 on
    role: str
    kind: str  # text, reminder, thinking, call, result, or the wire's own word for anything else
    text: str = ""
    name: str = ""  # of the tool; of a result with what the call tells most
    given: Any = None  # the input of a call; what else there is
    failed: bool = False  # of a result
    call: tuple[str, Any] = ("", None)  # of a result: the tool of its call, and the input

    @property
    def size(self) -> int:
        """Its characters."""
        return len(self.text) if self.text else characters(self.given)


def conversation_part(opened: OpenedTrace) -> list[Block]:
    """Each piece of each message; those that are new in this request begin where the reader does."""
    body = opened.seen
    messages = [row for row in _list(body.get("messages")) if isinstance(row, dict)]
    if not messages:
        return [Block([("This request has no messages.", "muted")])]
    failed = _failed_calls(_dict(opened.raw.request.body))  # ids alone: its megabytes stay as they are
    last = max((at for at, row in enumerate(messages, 1) if row.get("role") == "assistant"), default=0)
    blocks = [_head(opened, len(messages), len(messages) - last)]
    begun = False
    pieces = list(pieces_said(messages, failed))
    for said, tokens in zip(pieces, _tokens(opened, messages, pieces), strict=True):
        new = said.number > last and not begun and last > 0
        if new:
            begun = True
            blocks.append(
                Block([("── new in this request ", "accent"), ("─" * 40, "rule")], level=1, here=True)
            )
        blocks.append(_block(said, tokens))
    return blocks


def _tokens(
    opened: OpenedTrace, messages: list[dict[str, Any]], pieces: list[Said]
) -> Sequence[float | None]:
    """The tokens of each piece: its share of the part that the engine counted, else of the prompt."""
    leading = next((at for at, row in enumerate(messages[:2]) if row.get("role") != "system"), 2)
    tools = [tool for tool in _list(opened.seen.get("tools")) if isinstance(tool, dict)]
    around = [
        WeighedPiece("system", characters(opened.seen.get("system"))),
        *(WeighedPiece("tool", json_size(tool), _name_of_tool(tool)) for tool in tools),
    ]
    weighed = [
        WeighedPiece(
            "message" if said.number > leading else "system",
            said.size,
            number=max(0, said.number - leading),
            is_reminder=said.kind == "reminder",
        )
        for said in pieces
    ]
    counted = piece_tokens([*around, *weighed], opened.raw.prompt_parts, len(messages) - leading)
    if counted is not None:
        return counted[len(around) :]
    rate = opened.tokens_a_character
    return [said.size * rate if rate else None for said in pieces]


def _name_of_tool(tool: dict[str, Any]) -> str:
    function = tool.get("function")
    return str((function if isinstance(function, dict) else tool).get("name") or "")


def _head(opened: OpenedTrace, messages: int, new: int) -> Block:
    seen = "as the model saw it" if opened.seen is opened.upstream else "as the client sent it"
    title: Line = [(f"{plural(messages, 'message')} ", "bold"), (f" {seen}", "muted")]
    tokens = opened.raw.usage.prompt_tokens
    return Block(
        title, note=f"{new} new   prompt {count(tokens)} tokens" if tokens else f"{new} new", open=True
    )


def pieces_said(messages: list[dict[str, Any]], failed: frozenset[str] = frozenset()) -> Iterator[Said]:
    """The pieces of Anthropic or OpenAI messages in their order, whatever they hold."""
    calls: dict[str, tuple[str, Any]] = {}
    for number, message in enumerate(messages, 1):
        role = line_text(str(message.get("role") or "?"))
        if isinstance(thought := message.get("reasoning_content"), str) and thought:
            yield Said(number, role, "thinking", thought.strip("\n"))
        if role == "tool":
            call = str(message.get("tool_call_id"))
            text = _result_text(message.get("content"))
            yield _result(number, role, text, calls.get(call), failed=call in failed)
            continue
        content = message.get("content")
        for block in [content] if isinstance(content, str) else _list(content):
            yield from _piece(number, role, block, calls, failed)
        for call in _list(message.get("tool_calls")):
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                name = line_text(str(function.get("name") or "tool"))
                given = _arguments(function)
                calls[str(call.get("id"))] = (name, given)
                yield Said(number, role, "call", name=name, given=given)


def _piece(
    number: int, role: str, block: Any, calls: dict[str, tuple[str, Any]], failed: frozenset[str]
) -> Iterator[Said]:
    match block:
        case str(text) | {"type": "text", "text": str(text)}:
            apart = role != "system" and "<system-reminder>" in text  # thousands of messages have none
            for part in _REMINDER.split(text) if apart else [text]:
                if part.strip():
                    kind = "reminder" if part.startswith("<system-reminder>") else "text"
                    yield Said(number, role, kind, part.strip("\n"))
        case {"type": "thinking", "thinking": str(text)}:
            yield Said(number, role, "thinking", text.strip("\n"))
        case {"type": "tool_use" | "server_tool_use", "input": given, **more}:
            name = line_text(str(more.get("name") or "tool"))
            calls[str(more.get("id"))] = (name, given)
            yield Said(number, role, "call", name=name, given=given)
        case {"type": str(kind), "tool_use_id": str(call), **more} if kind.endswith("tool_result"):
            wrong = more.get("is_error") is True or call in failed
            text = _result_text(more.get("content"))
            yield _result(number, role, text, calls.get(call), failed=wrong)
        case _:
            kind = line_text(str(block.get("type", "?"))) if isinstance(block, dict) else "?"
            yield Said(number, role, kind, given=block)


def _result(number: int, role: str, text: str, call: tuple[str, Any] | None, *, failed: bool) -> Said:
    if call is None:
        return Said(number, role, "result", text, "tool", failed=failed)
    name = f"{call[0]} {_first(call[1])}".strip()
    return Said(number, role, "result", text, name, failed=failed, call=call)


def said_title(said: Said) -> Line:
    """What a piece is, on one line."""
    match said.kind:
        case "text":
            return [(said.role, f"bold {_ROLES.get(said.role, '')}".strip())]
        case "reminder":
            about = line_text(_TAG.sub(" ", said.text[:2000]), 400)
            return [("reminder  ", "accent"), (shorten(about, _TITLE), "dim")]
        case "thinking":
            return [("thinking", "thinking")]
        case "call":
            return [
                ("→ ", "tool"),
                (said.name, "tool bold"),
                (f"  {shorten(_first(said.given), _TITLE)}", "muted"),
            ]
        case "result":
            sign: Line = [("✗ ", "bad")] if said.failed else [("← ", "ok")]
            return [
                *sign,
                ("result of ", "muted"),
                (shorten(said.name, _TITLE), "bad" if said.failed else ""),
            ]
    return [(said.kind, "accent")]


def _block(said: Said, tokens: float | None) -> Block:
    start: Line = [(f"{said.number:>3}  ", "dim")]
    note = plural(said.size, "character") if tokens is None else f"~{count(round(tokens))}"
    title = [*start, *said_title(said)]
    match said.kind:
        case "call":
            return Block(
                title,
                lambda cells: wrapped_call(said.name, said.given, cells),
                note,
                level=1,
                preview=_CALL,
                source=lambda: call_to_read(said.name, said.given),
            )
        case "text":
            lines = _THOUGHT if said.role == "system" else _TEXT  # System has all of it
            return Block(title, said.text, note, "prose", level=1, preview=lines)
        case "thinking":
            return Block(title, said.text, note, level=1, preview=_THOUGHT, style="thinking")
        case "result":
            style = "bad" if said.failed else ""
            return Block(
                title,
                said.text or "(empty)",
                note,
                level=1,
                preview=_RESULT,
                style=style,
                source=lambda: result_to_read(*said.call, said.text),
            )
        case "reminder":
            return Block(title, said.text, note, level=1)
    return Block(title, pretty(said.given), note, "json", level=1)


def call_counts(opened: OpenedTrace) -> dict[str, int]:
    """How often each tool was called in this conversation, this answer included."""
    counts: dict[str, int] = {}
    messages = [row for row in _list(opened.body.get("messages")) if isinstance(row, dict)]
    for said in pieces_said(messages):
        if said.kind == "call":
            counts[said.name] = counts.get(said.name, 0) + 1
    for call in opened.trace.tool_calls:
        name = line_text(call.name)
        counts[name] = counts.get(name, 0) + 1
    return counts


def _failed_calls(body: dict[str, Any]) -> frozenset[str]:
    """Ids of the calls whose results are errors: OpenAI's messages do not say it."""
    return frozenset(
        str(block.get("tool_use_id"))
        for message in _list(body.get("messages"))
        if isinstance(message, dict)
        for block in _list(message.get("content"))
        if isinstance(block, dict) and block.get("is_error") is True
    )


def _arguments(function: dict[str, Any]) -> Any:
    given = function.get("arguments")
    if not isinstance(given, str):
        return given
    try:
        return cleaned(orjson.loads(given))  # an escape of JSON may be a control of the terminal
    except orjson.JSONDecodeError:
        return given


def _first(given: Any) -> str:
    """The argument of a call that tells most."""
    if not isinstance(given, dict):
        return line_text(str(given), 200) if given else ""
    first, rest = one_line_arguments(given, "")
    return first or rest


def _result_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(
        part["text"] if isinstance(part, dict) and isinstance(part.get("text"), str) else pretty(part)
        for part in (content if isinstance(content, list) else [content] if content else [])
    )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
