"""Parses and validates bodies of `POST /v1/messages`.

Only fields that the translation needs are checked. Unknown fields, roles, content blocks and betas pass: the
translation keeps them or notes that it drops them.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from engine.wire.json_text import encode_json
from proxy.events.errors import InvalidRequest

MAX_BODY_BYTES = 64 * 2**20
_MOST_LEVELS = 50  # of results within results
# The answer has another form with these, or lacks what the request is about.
_REFUSED_FIELDS = {
    "compaction": "not supported: compact in the client, by a request for a summary",
    "thread": "not supported: no conversation is stored here, so send all of its messages with each request",
}
# With this code the tool runner of Anthropic's SDKs, which asks for a thread first, goes on without one.
_DETAILS = {"thread": {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}}


def parse_body(raw: bytes) -> dict[str, Any]:
    """The JSON object of a request body; halves of surrogate pairs in it become replacement characters.

    Raises:
        InvalidRequest: it is no JSON object.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        body = _with_lone_surrogates(raw)
        if body is None:
            raise InvalidRequest(f"the request body is not valid JSON: {_not_utf8(raw) or error}") from None
    if not isinstance(body, dict):
        raise InvalidRequest(f"the request body must be a JSON object, not {_kind(body)}")
    return body


def _not_utf8(raw: bytes) -> str:
    """Where a body is in another encoding, which the parser does not say; "" if it is in UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"it is not in UTF-8 (byte 0x{raw[error.start]:02x} at {error.start})"
    return ""


def _with_lone_surrogates(raw: bytes) -> Any:
    """Parse a body with lone surrogates, which JavaScript writes for a truncated emoji and orjson refuses."""
    if b"\\ud" not in raw and b"\\uD" not in raw:
        return None
    try:
        return orjson.loads(encode_json(json.loads(raw)))
    except (ValueError, RecursionError):
        return None


def check_message_request(body: dict[str, Any]) -> None:
    """Check a body of `POST /v1/messages`.

    Raises:
        InvalidRequest: names the first place that is broken, as `messages.3.content: ...`.
    """
    check_prompt(body)
    max_tokens = body.get("max_tokens")
    if max_tokens is None:
        raise InvalidRequest("max_tokens: Field required")
    if not _is_int(max_tokens) or max_tokens < 0:
        raise InvalidRequest(f"max_tokens: must be an integer of at least 0, not {max_tokens!r}")
    _check_sampling(body)
    for name, why in _REFUSED_FIELDS.items():
        if body.get(name) is not None:
            raise InvalidRequest(f"{name}: {why}", details=_DETAILS.get(name))


def check_prompt(body: dict[str, Any]) -> None:
    """Check what `count_tokens` needs: model, system, messages and tools.

    Raises:
        InvalidRequest: names the first place that is broken.
    """
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise InvalidRequest("model: Field required, and must be a string")
    _check_messages(body.get("messages"))
    system = body.get("system")
    if system is not None and not isinstance(system, str):
        _check_blocks(system, "system")
    _check_tools(body.get("tools"))
    _check_choice(body.get("tool_choice"), body.get("tools") or [])


def _check_messages(messages: Any) -> None:
    if messages is None:
        raise InvalidRequest("messages: Field required")
    if not isinstance(messages, list):
        raise InvalidRequest(f"messages: must be a list, not {_kind(messages)}")
    if not messages:
        raise InvalidRequest("messages: at least one message is required")
    for i, message in enumerate(messages):
        place = f"messages.{i}"
        if not isinstance(message, dict):
            raise InvalidRequest(f"{place}: must be an object, not {_kind(message)}")
        if not isinstance(message.get("role"), str):
            raise InvalidRequest(f"{place}.role: Field required")
        content = message.get("content")
        if content is None and message["role"] == "system" and message.get("output_config"):
            continue  # changes options from here on
        if content is None:
            raise InvalidRequest(f"{place}.content: Field required")
        if not isinstance(content, str):
            _check_blocks(content, f"{place}.content")
    if not any(message["role"] == "user" for message in messages):
        raise InvalidRequest("messages: at least one message must have the role user")


def _check_blocks(blocks: Any, place: str, level: int = 0) -> None:
    if level > _MOST_LEVELS:
        raise InvalidRequest("messages: the content blocks are nested too deeply")
    if not isinstance(blocks, list):
        raise InvalidRequest(f"{place}: must be a string or a list of content blocks, not {_kind(blocks)}")
    for i, block in enumerate(blocks):
        if not isinstance(block, dict):
            raise InvalidRequest(f"{place}.{i}: must be a content block, not {_kind(block)}")
        kind = block.get("type")
        if not isinstance(kind, str):
            raise InvalidRequest(f"{place}.{i}.type: Field required")
        for name, wanted in _BLOCK_FIELDS.get(kind, ()):
            if not isinstance(block.get(name), wanted):
                raise InvalidRequest(f"{place}.{i}.{name}: Field required in a {kind} block")
        result = block.get("content") if kind == "tool_result" else None
        if result is not None and not isinstance(result, str):
            _check_blocks(result, f"{place}.{i}.content", level + 1)


_BLOCK_FIELDS: dict[str, tuple[tuple[str, type], ...]] = {
    "text": (("text", str),),
    "tool_use": (("id", str), ("name", str), ("input", dict)),
    "tool_result": (("tool_use_id", str),),
}


def _check_choice(choice: Any, tools: list[dict[str, Any]]) -> None:
    """Check that a forced call names an offered tool; unknown types of choice pass."""
    if choice is None:
        return
    if not isinstance(choice, dict) or not isinstance(choice.get("type"), str):
        raise InvalidRequest("tool_choice.type: Field required")
    if choice["type"] == "tool":
        name = choice.get("name")
        if not isinstance(name, str):
            raise InvalidRequest("tool_choice.name: Field required")
        if name not in {tool.get("name") for tool in tools}:
            raise InvalidRequest(f"tool_choice.name: {name!r} is not among the request's tools")
    elif choice["type"] == "any" and not tools:
        raise InvalidRequest("tool_choice: a call of any tool is asked for, but the request has no tools")


def _check_tools(tools: Any) -> None:
    if tools is None:
        return
    if not isinstance(tools, list):
        raise InvalidRequest(f"tools: must be a list, not {_kind(tools)}")
    for i, tool in enumerate(tools):
        if not isinstance(tool, dict):
            raise InvalidRequest(f"tools.{i}: must be an object, not {_kind(tool)}")
        ours = tool.get("type") in (None, "custom")  # toolsets have no name, nor what the future may bring
        if (ours or "name" in tool) and (not isinstance(tool.get("name"), str) or not tool["name"]):
            raise InvalidRequest(f"tools.{i}.name: Field required")
        if ours and not isinstance(tool.get("input_schema"), dict):
            raise InvalidRequest(f"tools.{i}.input_schema: Field required")
        if tool.get("allowed_domains") and tool.get("blocked_domains"):
            raise InvalidRequest(
                f"tools.{i}: allowed_domains and blocked_domains exclude each other; give one"
            )


def _check_sampling(body: dict[str, Any]) -> None:
    for name, low, high in (("temperature", 0.0, 2.0), ("top_p", 0.0, 1.0)):
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise InvalidRequest(f"{name}: must be a number from {low:g} to {high:g}, not {value!r}")
    top_k = body.get("top_k")
    if top_k is not None and (not _is_int(top_k) or top_k < 0):
        raise InvalidRequest(f"top_k: must be an integer of at least 0, not {top_k!r}")
    stop = body.get("stop_sequences")
    if stop is not None and not (isinstance(stop, list) and all(isinstance(s, str) and s for s in stop)):
        raise InvalidRequest("stop_sequences: must be a list of strings that are not empty")
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequest(f"stream: must be true or false, not {stream!r}")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
