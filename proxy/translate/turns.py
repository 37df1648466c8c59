"""Messages: from Anthropic's turns of content blocks to OpenAI's entries, one turn at a time.

Each turn is translated by itself, so that a history renders the same however it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.wire.chat import PROJECT_TEXT
from engine.wire.json_text import encode_json
from proxy.anthropic.client_tools import member_name
from proxy.anthropic.project_text import system_parts
from proxy.anthropic.prompt_prefix import joined_text, system_text
from proxy.backends.upstream import Dialect
from proxy.translate.block_texts import BlockTexts, picture_url
from proxy.translate.late_tools.shown_tools import Function
from proxy.translate.server_tools import rounds_of
from proxy.translate.thinking import thinking_text

Message = dict[str, Any]
Part = dict[str, Any]
_SYSTEM_ROLES = ("system", "developer")


@dataclass(frozen=True, slots=True)
class TurnReading:
    """How turns are read: for which upstream, with notes for people, and with which definitions of tools.

    `definitions` stand in the places of references to tools, `changes` are texts of the system behind turns,
    by their index; without `definitions` they stand elsewhere.
    """

    dialect: Dialect
    notes: list[str]
    definitions: Mapping[str, Function] | None = None
    changes: Mapping[int, str] = field(default_factory=dict)

    def texts(self, pictures: list[str] | None = None) -> BlockTexts:
        """What writes blocks as text."""
        return BlockTexts(self.notes, pictures, self.definitions)


def chat_messages(body: dict[str, Any], reading: TurnReading) -> list[Message]:
    """All entries of a request: the system text first, then its turns in their order."""
    messages: list[Message] = []
    if system := _system_content(body.get("system"), reading.dialect):
        messages.append({"role": "system", "content": system})
    turns = body["messages"]
    last_user = max((place for place, turn in enumerate(turns) if turn["role"] == "user"), default=-1)
    for place, turn in enumerate(turns):
        # Its sender wants it shown for one turn only, or has set nothing but options by it.
        passed = turn.get("clear_at") == "next_user_message" and place < last_user
        if turn["role"] not in _SYSTEM_ROLES or not (passed or turn.get("content") is None):
            messages.extend(_turn(turn, reading))
        if place in reading.changes:
            messages.append({"role": "system", "content": reading.changes[place]})
    return messages


def _system_content(system: Any, dialect: Dialect) -> str | list[Part]:
    """The system text; in parts where some, and not all, of it is to be marked as the project's."""
    parts = system_parts(system) if dialect.project_text else []
    if len(parts) < 2:
        return system_text(system)
    return [_text_part(text) | ({PROJECT_TEXT: True} if of_project else {}) for text, of_project in parts]


def _turn(turn: dict[str, Any], reading: TurnReading) -> Iterator[Message]:
    role, content = turn["role"], turn["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if role == "assistant":
        yield from assistant_messages(blocks, reading)
    elif role in _SYSTEM_ROLES:
        yield {"role": "system", "content": reading.texts().joined(blocks)}
    else:
        if role != "user":
            reading.notes.append(f"a turn of the unknown role {role!r} was sent as the user's")
        yield from _user(blocks, reading)


def assistant_messages(
    blocks: list[dict[str, Any]], reading: TurnReading, details: Mapping[str, str] | None = None
) -> Iterator[Message]:
    """A turn of the model, with the results of the calls that the proxy ran within it (`rounds_of`)."""
    for written, results in rounds_of(blocks, details):
        if written or not results:
            yield _assistant(written, reading)
        yield from results


def _assistant(blocks: list[dict[str, Any]], reading: TurnReading) -> Message:
    spoken: list[dict[str, Any]] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    for block in blocks:
        kind = block["type"]
        if kind == "tool_use":
            calls.append(_tool_call(block))
        elif kind == "thinking":
            thoughts.append(thinking_text(block))
        elif kind == "redacted_thinking":
            reading.notes.append("left out redacted thinking: only its author can read it")
        else:
            spoken.append(block)
    message: Message = {"role": "assistant", "content": reading.texts().joined(spoken)}
    reasoning = joined_text(filter(None, thoughts))
    if reasoning and reading.dialect.reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = calls
    return message


def _tool_call(block: dict[str, Any]) -> dict[str, Any]:
    # Argument keys keep the order in which the model wrote them: another order is another prompt.
    arguments = encode_json(block["input"]).decode()
    family = block.get("toolset_name")
    name = member_name(family, block["name"]) if isinstance(family, str) and family else block["name"]
    return {"id": block["id"], "type": "function", "function": {"name": name, "arguments": arguments}}


def _user(blocks: list[dict[str, Any]], reading: TurnReading) -> Iterator[Message]:
    """Tool results first, each an entry of its own, as calls and results must be neighbours.

    OpenAI's tool entries hold text only: their pictures open the user's entry behind them.
    """
    rest: list[dict[str, Any]] = []
    shown: list[Part] = []
    results = False
    for block in blocks:
        if block["type"] == "tool_result":
            results = True
            pictures: list[str] | None = [] if reading.dialect.images else None
            text = _result_text(block, reading.texts(pictures))
            yield {"role": "tool", "tool_call_id": block["tool_use_id"], "content": text}
            for number, url in enumerate(pictures or (), 1):
                label = f"Picture {number} of the result of call {block['tool_use_id']}:"
                shown += [_text_part(label), _picture_part(url)]
        else:
            rest.append(block)
    if shown:
        yield {"role": "user", "content": [*shown, *_parts(rest, reading)]}
    elif rest or not results:
        yield {"role": "user", "content": _user_content(rest, reading)}


def _result_text(block: dict[str, Any], texts: BlockTexts) -> str:
    content = block.get("content")
    text = content if isinstance(content, str) else texts.joined(content or [])
    if block.get("is_error") and "error" not in text[:40].lower():
        return f"Error: {text}"
    return text


def _user_content(blocks: list[dict[str, Any]], reading: TurnReading) -> str | list[Part]:
    """One string; where pictures are taken and there is one, a list of text and picture parts."""
    parts = _parts(blocks, reading) if reading.dialect.images else []
    if any(part["type"] != "text" for part in parts):
        return parts
    return reading.texts().joined(blocks)


def _parts(blocks: list[dict[str, Any]], reading: TurnReading) -> list[Part]:
    """Text and pictures in their order; those within a document follow it."""
    parts: list[Part] = []
    run: list[dict[str, Any]] = []

    def end_run() -> None:
        pictures: list[str] = []
        if run:
            parts.append(_text_part(reading.texts(pictures).joined(run)))
        parts.extend(map(_picture_part, pictures))
        run.clear()

    for block in blocks:
        if url := picture_url(block):
            end_run()
            parts.append(_picture_part(url))
        else:
            run.append(block)
    end_run()
    return parts


def _text_part(text: str) -> Part:
    return {"type": "text", "text": text}


def _picture_part(url: str) -> Part:
    return {"type": "image_url", "image_url": {"url": url}}
