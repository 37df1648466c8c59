"""The pieces of a client's prompt, each with the part of the context that it belongs to, by characters.

Claude Code puts what it adds by itself between the user's own texts: blocks of `<system-reminder>`, and
messages of the role system (2.1.332). Files of instructions stand in them under `Contents of PATH (…):`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from engine.wire.json_text import encode_json
from proxy.anthropic.prompt_prefix import system_texts
from proxy.filters.matching import file_of
from proxy.traces.analysis.context_facts import PartName
from proxy.traces.analysis.new_text import content_texts
from proxy.traces.analysis.parts.part_tokens import WeighedPiece, piece_tokens
from proxy.traces.schema import Trace

_CHARACTERS_A_TOKEN = 4  # where nothing was counted
_PICTURE = 6_000  # characters that stand for a picture or a page: about 1,500 tokens
_LONGEST = 160  # characters of what a piece is
_TAG = re.compile("</?system-reminder>")
_REMINDER = re.compile(r"(<system-reminder>.*?(?:</system-reminder>|\Z))", re.DOTALL)
_CONTENTS = re.compile(r"^Contents of (?P<path>\S.{0,400}?)(?: \([^()\n]*\))?:$", re.MULTILINE)
_SUMMARY = "This session is being continued from a previous conversation"


@dataclass(frozen=True, slots=True)
class ContextPiece:
    """A run of characters of the prompt, behind `answers` messages of the model."""

    part: PartName
    kind: str
    what: str
    characters: int
    same: str  # equal for pieces with the same text
    answers: int = 0
    call: str = ""  # the id of the tool call that it is the result of
    message: int = 0  # as the engine numbers the messages that were sent to it; 0: tools and system
    tokens: float = 0.0  # as counted, or its share of the prompt's


def pieces(body: Any) -> list[ContextPiece]:
    """The pieces of an Anthropic request's body in their order, whatever it holds."""
    return list(_pieces(body)) if isinstance(body, dict) else []


def counted_pieces(trace: Trace) -> list[ContextPiece]:
    """The pieces of a trace's prompt, with tokens as the engine counted its parts, else by characters."""
    body = trace.request.body if isinstance(trace.request.body, dict) else {}
    found = pieces(body)
    kinds = {"tools": "tool", "system": "system"}
    rows = [
        WeighedPiece(
            kinds.get(one.part, "message"), one.characters, one.what, one.message, one.part == "reminders"
        )
        for one in found
    ]
    tokens = piece_tokens(rows, trace.prompt_parts, sum(_sent(row) for row in _list(body.get("messages"))))
    if tokens is None:
        characters = sum(one.characters for one in found)
        prompt = trace.usage.prompt_tokens or characters // _CHARACTERS_A_TOKEN
        tokens = [prompt * one.characters / characters if characters else 0.0 for one in found]
    return [replace(one, tokens=number) for one, number in zip(found, tokens, strict=True)]


def _sent(message: Any) -> int:
    """How many messages one of the client's becomes: results of tools are messages of their own."""
    if not isinstance(message, dict):
        return 0
    blocks = _blocks(message.get("content"))
    results = sum(block.get("type") == "tool_result" for block in blocks)
    return results + (len(blocks) > results or not results) if message.get("role") == "user" else 1


def _pieces(body: dict[str, Any]) -> Iterator[ContextPiece]:
    messages = [row for row in _list(body.get("messages")) if isinstance(row, dict)]
    calls = _calls(messages)
    found = _references(messages)
    for tool in _list(body.get("tools")):
        if isinstance(tool, dict) and (tool.get("defer_loading") is not True or tool.get("name") in found):
            yield _tool(tool)
    system = body.get("system")
    if isinstance(system, list):
        system = [block for block in system if isinstance(block, dict)]
    for text in system_texts(system) if isinstance(system, str | list) else ():
        yield _piece("system", "text", beginning(text), text)
    answers, number = 0, 1
    for message in messages:
        last, result = number + _sent(message) - 1, number
        for piece in _message(message, calls, answers):
            if piece.call:
                yield replace(piece, message=min(result, last))
                result += 1
            else:
                yield replace(piece, message=last)
        number, answers = last + 1, answers + (message.get("role") == "assistant")


def _message(
    message: dict[str, Any], calls: dict[str, tuple[str, str]], answers: int
) -> Iterator[ContextPiece]:
    match message.get("role"):
        case "assistant":
            yield from _written(message.get("content"), answers)
        case "system":
            for text in content_texts(message.get("content")):
                yield from _reminders(text, answers)
        case _:
            yield from _said(message.get("content"), calls, answers)


def _tool(tool: dict[str, Any]) -> ContextPiece:
    name = str(tool.get("name") or tool.get("type") or "")
    server = re.match(r"mcp__(?:(?!__).)+", name)
    text = encode_json({key: value for key, value in tool.items() if key != "cache_control"}).decode()
    return _piece("tools", server[0] if server else "tools", name, text)


def _written(content: Any, answers: int) -> Iterator[ContextPiece]:
    for block in _blocks(content):
        match block:
            case {"type": "text", "text": str(text)}:
                yield _piece("wrote", "text", beginning(text), text, answers)
            case {"type": "thinking", "thinking": str(text)}:
                yield _piece("wrote", "thinking", beginning(text), text, answers)
            case {"type": "tool_use" | "server_tool_use", "input": given} as call:
                text = encode_json(given).decode()
                what = f"{call.get('name') or ''} {argument(given)}".strip()
                yield _piece("wrote", "calls", beginning(what), text, answers)


def _said(content: Any, calls: dict[str, tuple[str, str]], answers: int) -> Iterator[ContextPiece]:
    for block in _blocks(content):
        match block:
            case {"type": "text", "text": str(text)}:
                for part in _REMINDER.split(text):
                    if part.startswith("<system-reminder>"):
                        yield from _reminders(part, answers)
                    elif part.strip():
                        kind = "summary" if part.lstrip().startswith(_SUMMARY) else "text"
                        yield _piece("said", kind, beginning(part), part, answers)
            case {"type": str(kind), "tool_use_id": str(call), **more} if kind.endswith("tool_result"):
                name, argument = calls.get(call, ("tool", ""))
                yield _result(name, argument, more.get("content"), answers, call)
            case {"type": "image" | "document" as kind}:
                yield _seen("said", f"{kind}s", block, answers)


def _result(name: str, argument: str, content: Any, answers: int, call: str) -> ContextPiece:
    texts = [text for text in content_texts(content) if text]
    others = [block for block in _blocks(content) if block.get("type") in ("image", "document")]
    text = "\n".join([*texts, *(encode_json(block).decode() for block in others)])
    characters = sum(map(len, texts)) + _PICTURE * len(others)
    return ContextPiece("results", name, argument, characters, _digest(text), answers, call)


def _seen(part: PartName, kind: str, block: dict[str, Any], answers: int) -> ContextPiece:
    source = block.get("source")
    text = source.get("data") if isinstance(source, dict) and source.get("type") == "text" else None
    if isinstance(text, str):
        return _piece(part, kind, beginning(str(block.get("title") or text)), text, answers)
    return ContextPiece(part, kind, str(block.get("title") or ""), _PICTURE, _digest(repr(source)), answers)


def _reminders(text: str, answers: int) -> Iterator[ContextPiece]:
    """A text that the client added, split where a file of instructions begins."""
    begin, kind, what = 0, "reminder", ""
    for found in _CONTENTS.finditer(text):
        if part := text[begin : found.start()].strip():
            yield _piece("reminders", kind, what or beginning(part), part, answers)
        begin, kind, what = found.start(), "file", beginning(found["path"])
    if part := text[begin:].strip():
        yield _piece("reminders", kind, what or beginning(part), part, answers)


def _calls(messages: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Name and argument of each tool call, by its id."""
    return {
        call["id"]: (str(call.get("name") or "tool"), argument(call.get("input")))
        for message in messages
        if message.get("role") == "assistant"
        for call in _blocks(message.get("content"))
        if isinstance(call.get("id"), str)
    }


def _references(messages: list[dict[str, Any]]) -> set[str]:
    """The tools that a search of the client has found: their definitions are in the prompt from then on."""
    return {
        name
        for message in messages
        for result in _blocks(message.get("content"))
        for block in _blocks(result.get("content"))
        if block.get("type") == "tool_reference" and isinstance(name := block.get("tool_name"), str)
    }


def argument(given: Any) -> str:
    """The file that a call names, else the first text of its input."""
    values = given.values() if isinstance(given, dict) else ()
    return beginning(file_of(given) or next((one for one in values if isinstance(one, str) and one), ""))


def _piece(part: PartName, kind: str, what: str, text: str, answers: int = 0) -> ContextPiece:
    return ContextPiece(part, kind, what, len(text), _digest(text), answers)


def beginning(text: str) -> str:
    """The first words of a text, on one line."""
    line = " ".join(_TAG.sub(" ", text[: 4 * _LONGEST]).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _blocks(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in _list(content) if isinstance(block, dict)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
