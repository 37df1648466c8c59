"""The JSON objects that APIs and models write for a call.

{"name": "Read", "arguments": {...}}        {"tool": "Read", "file_path": "/a"}
{"type": "tool_use", "name": "Read", "input": {...}}
{"tool_calls": [{"id": "1", "type": "function", "function": {"name": "Read", "arguments": "{...}"}}]}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engine.tool_calls.schemas.name_matching import matching_name
from engine.tool_calls.schemas.tools import ToolSchemas

NAME_KEYS = ("name", "tool", "tool_name", "function", "function_name", "recipient_name")
ARGUMENTS_KEYS = ("arguments", "parameters", "input", "args", "kwargs")
_LISTS = ("tool_calls", "tool_uses", "calls")
_METADATA = frozenset(
    ("id", "type", "index", "call_id", "tool_call_id", "tool_use_id", "status", "role", "caller")
)
_NAMED = re.compile(
    r"""["'“]?(?:name|tool|tool_name|function|function_name|recipient_name)["'”]?\s*:\s*"""
    r"""["'“]?([\w.:/-]+)"""
)


@dataclass(frozen=True, slots=True)
class ShapedCall:
    """A call read from JSON: `arguments` is an object, JSON text, or None for none."""

    name: str
    arguments: Any


def calls_of(value: Any, tools: ToolSchemas) -> list[ShapedCall]:
    """The calls that a JSON value consists of; none if any part of it is something else."""
    match value:
        case list():
            found = [calls_of(element, tools) for element in value]
            return [call for calls in found for call in calls] if all(found) else []
        case dict():
            for key in _LISTS:
                if isinstance(value.get(key), list) and _has_only_metadata_besides(value, key):
                    return calls_of(value[key], tools)
            call = _call(value, tools)
            return [call] if call else []
    return []


def shape_schema(text: str, tools: ToolSchemas) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys to expect in the JSON of a call of some tool, and that tool's own schema."""
    names = [name for found in _NAMED.findall(text) if (name := matching_name(found, tools))]
    root = tools[names[0]].parameters if names else {}
    own: dict[str, Any] = {}
    for name in reversed(names):
        own.update(tools[name].properties)
    schema: dict[str, Any] = {}
    schema["items"] = schema
    arguments = {"properties": own}
    schema["properties"] = {
        **own,
        **{key: {} for key in (*_METADATA, *NAME_KEYS)},
        **dict.fromkeys(_LISTS, schema),
        "function": schema,
        **dict.fromkeys(ARGUMENTS_KEYS, arguments),
    }
    return schema, root


def _call(value: dict[str, Any], tools: ToolSchemas) -> ShapedCall | None:
    for key in NAME_KEYS:
        named = value.get(key)
        if isinstance(named, dict) and key in ("function", "tool") and _has_only_metadata_besides(value, key):
            return _call(named, tools)
        if not isinstance(named, str) or (name := matching_name(named, tools)) is None:
            continue
        for arguments in ARGUMENTS_KEYS:
            if arguments in value and _has_only_metadata_besides(value, key, arguments):
                return ShapedCall(named, value[arguments])
        own = tools[name].properties
        if any(arguments in value and arguments not in own for arguments in ARGUMENTS_KEYS):
            continue
        rest = {other: part for other, part in value.items() if other != key}
        return ShapedCall(named, {k: part for k, part in rest.items() if k in own or k not in _METADATA})
    return None


def _has_only_metadata_besides(value: dict[str, Any], *keys: str) -> bool:
    """Whether the other keys say nothing about the call itself."""
    rest = {key: part for key, part in value.items() if key not in keys and key not in _METADATA}
    return all(key in ("content", "text") and not part for key, part in rest.items())
