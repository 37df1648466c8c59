"""Messages: from Anthropic's turns of content blocks to OpenAI's entries, one turn at a time.

Each turn is translated by itself, so that a history renders the same however it goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from engine.wire.json_text import encode_json
from proxy.anthropic.prompt_prefix import joined_text, system_text
from proxy.backends.upstream import Dialect
from proxy.translate.thinking import thinking_text

Message = dict[str, Any]
_SYSTEM_ROLES = ("system", "developer")


def chat_messages(body: dict[str, Any], dialect: Dialect, notes: list[str]) -> list[Message]:
    """All entries of a request: the system text first, then its turns in their order."""
    messages: list[Message] = []
    system = system_text(body.get("system"))
    if system:
        messages.append({"role": "system", "content": system})
    for turn in body["messages"]:
        messages.extend(_turn(turn, dialect, notes))
    return messages


def _turn(turn: dict[str, Any], dialect: Dialect, notes: list[str]) -> Iterator[Message]:
    role, content = turn["role"], turn["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if role == "assistant":
        yield _assistant(blocks, dialect, notes)
    elif role in _SYSTEM_ROLES:
        yield {"role": "system", "content": joined_text(_texts(blocks, notes))}
    else:
        if role != "user":
            notes.append(f"a turn of the unknown role {role!r} was sent as the user's")
        yield from _user(blocks, dialect, notes)


def _assistant(blocks: list[dict[str, Any]], dialect: Dialect, notes: list[str]) -> Message:
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
            notes.append("left out redacted thinking: only its author can read it")
        else:
            spoken.append(block)
    message: Message = {"role": "assistant", "content": joined_text(_texts(spoken, notes))}
    reasoning = joined_text(filter(None, thoughts))
    if reasoning and dialect.reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = calls
    return message


def _tool_call(block: dict[str, Any]) -> dict[str, Any]:
    # Argument keys keep the order in which the model wrote them: another order is another prompt.
    arguments = encode_json(block["input"]).decode()
    return {
        "id": block["id"],
        "type": "function",
        "function": {"name": block["name"], "arguments": arguments},
    }


def _user(blocks: list[dict[str, Any]], dialect: Dialect, notes: list[str]) -> Iterator[Message]:
    """Tool results first, each an entry of its own, as calls and results must be neighbours."""
    rest: list[dict[str, Any]] = []
    results = False
    for block in blocks:
        if block["type"] == "tool_result":
            results = True
            yield {
                "role": "tool",
                "tool_call_id": block["tool_use_id"],
                "content": _result_text(block, notes),
            }
        else:
            rest.append(block)
    if rest or not results:
        yield {"role": "user", "content": _user_content(rest, dialect, notes)}


def _result_text(block: dict[str, Any], notes: list[str]) -> str:
    content = block.get("content")
    text = content if isinstance(content, str) else joined_text(_texts(content or [], notes))
    if block.get("is_error") and "error" not in text[:40].lower():
        return f"Error: {text}"
    return text


def _user_content(
    blocks: list[dict[str, Any]], dialect: Dialect, notes: list[str]
) -> str | list[dict[str, Any]]:
    """One string; where images are taken and there is one, a list of text and image parts."""
    if not dialect.images or not any(_image_url(block) for block in blocks):
        return joined_text(_texts(blocks, notes))
    parts: list[dict[str, Any]] = []
    run: list[dict[str, Any]] = []
    for block in blocks:
        url = _image_url(block)
        if not url:
            run.append(block)
            continue
        if run:
            parts.append({"type": "text", "text": joined_text(_texts(run, notes))})
            run = []
        parts.append({"type": "image_url", "image_url": {"url": url}})
    if run:
        parts.append({"type": "text", "text": joined_text(_texts(run, notes))})
    return parts


def _image_url(block: dict[str, Any]) -> str:
    source = block.get("source")
    if block["type"] != "image" or not isinstance(source, dict):
        return ""
    if source.get("type") == "url":
        return str(source.get("url") or "")
    if source.get("type") == "base64":
        return f"data:{source.get('media_type', 'image/png')};base64,{source.get('data', '')}"
    return ""


def _texts(blocks: Iterable[dict[str, Any]], notes: list[str]) -> Iterator[str]:
    for block in blocks:
        text = block.get("text")
        yield text if block["type"] == "text" and isinstance(text, str) else _other_text(block, notes)


def _other_text(block: dict[str, Any], notes: list[str]) -> str:
    """The text that stands for a block which is none."""
    kind = block["type"]
    if kind == "tool_reference":
        return f"[tool {block.get('tool_name', '')} is available]"
    if kind == "document":
        text = _document_text(block, notes)
        if text:
            return text
    for field in ("text", "content"):
        value = block.get(field)
        if isinstance(value, str):
            notes.append(f"the text of a block of type {kind} was sent as plain text")
            return value
        if isinstance(value, list) and value and all(_is_block(part) for part in value):
            notes.append(f"the content of a block of type {kind} was sent as plain text")
            return joined_text(_texts(value, notes))
    notes.append(f"left out the content of a block of type {kind}: this model reads text only")
    return f"[{kind}: left out, this model reads text only]"


def _document_text(block: dict[str, Any], notes: list[str]) -> str:
    source = block.get("source")
    if not isinstance(source, dict):
        return ""
    title = block.get("title")
    head = f"{title}\n" if isinstance(title, str) and title else ""
    if source.get("type") == "text" and isinstance(source.get("data"), str):
        return head + str(source["data"])
    content = source.get("content")
    if isinstance(content, str):
        return head + content
    if isinstance(content, list) and all(_is_block(part) for part in content):
        return head + joined_text(_texts(content, notes))
    return ""


def _is_block(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str)
