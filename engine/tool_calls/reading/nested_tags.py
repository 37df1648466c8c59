"""Lists and objects as tags within tags, as MiniMax M3 writes them.

    <paths><item>/a</item><item>/b</item></paths>          {"paths": ["/a", "/b"]}
    <range><from>1</from><to>9</to></range>                {"range": {"from": 1, "to": 9}}

Before each `<` stands a mark that is no text. Texts are bare; `engine.tool_calls.schemas.argument_texts`
gives their types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import regex

from engine.tool_calls.schemas.argument_texts import accepts, argument_json, argument_text
from engine.tool_calls.schemas.tools import DEFINITIONS, ToolSchema, referenced

ITEM = "item"
_MAX_DEPTH = 32
_MAX_REFERENCES = 8
_SCALARS = frozenset(("string", "number", "integer", "boolean", "null"))


def nested_json(text: str, tool: ToolSchema, key: str, mark: str) -> str:
    """The JSON of an argument that was written as `text`; a string where its tags do not fit together."""
    try:
        return json.dumps(_value(text, tool, key, mark, 0), ensure_ascii=False)
    except ValueError:
        return argument_json(text, tool, key)


def nested_text(value: Any, mark: str) -> str:
    """A value in such tags."""
    match value:
        case Mapping():
            return "".join(
                f"{mark}<{key}>{nested_text(part, mark)}{mark}</{key}>" for key, part in value.items()
            )
        case list() | tuple():
            return "".join(f"{mark}<{ITEM}>{nested_text(part, mark)}{mark}</{ITEM}>" for part in value)
    return argument_text(value)


def _value(text: str, tool: ToolSchema, key: str, mark: str, depth: int) -> Any:
    types = tool.types(key)
    if types == {"string"}:
        return text  # tags in it are a text's
    if f"{mark}<" not in text or depth > _MAX_DEPTH:
        if (empty := _empty(text, tool, key)) is not None:
            return empty
        return json.loads(argument_json(text, tool, key))
    parts = _elements(text, mark)
    schema = _resolved(tool.argument(key).parameters)
    shared = {name: schema[name] for name in DEFINITIONS if name in schema}
    if all(name == ITEM for name, _ in parts) and ("array" in types or "object" not in types):
        items = ToolSchema("", shared | {"properties": {ITEM: schema.get("items")}})
        return [_value(part, items, ITEM, mark, depth + 1) for _, part in parts]
    if len(dict(parts)) < len(parts):
        raise ValueError("a name comes twice")
    return {name: _value(part, ToolSchema("", schema), name, mark, depth + 1) for name, part in parts}


def _empty(text: str, tool: ToolSchema, key: str) -> list[Any] | dict[str, Any] | None:
    """A list or an object without parts; None where the text is no such thing, or a string that fits."""
    if text.strip():
        return None
    types, argument = tool.types(key), tool.argument(key)
    ways: tuple[list[Any] | dict[str, Any], ...] = ([], {})
    found = [way for way, kind in zip(ways, ("array", "object"), strict=True) if kind in types]
    if not found or ("string" in types and accepts(argument, text)):
        return None
    return next((way for way in found if accepts(argument, way)), found[0])


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema in place of a reference to it, or of a choice with one that has parts."""
    for _ in range(_MAX_REFERENCES):
        choices = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(reference := schema.get("$ref"), str):
            found = referenced(reference, schema)
        elif isinstance(choices, list):
            found = next(
                (one for one in choices if isinstance(one, dict) and one.get("type") not in _SCALARS), None
            )
        else:
            return schema
        if not isinstance(found, dict):
            return schema
        schema = {name: schema[name] for name in DEFINITIONS if name in schema} | found
    return schema


def _elements(text: str, mark: str) -> list[tuple[str, str]]:
    """The outermost elements: their names and texts.

    Raises:
        ValueError: the text has anything else.
    """
    parts = []
    at = 0
    opening = regex.compile(rf"\s*{regex.escape(mark)}<(?P<name>[^<>/\n]{{1,256}})>")
    tag = regex.compile(rf"{regex.escape(mark)}<(?P<end>/?)[^<>\n]{{1,256}}>")
    while text[at:].strip():
        found = opening.match(text, at)
        if found is None:
            raise ValueError("text stands beside a tag")
        depth, end = 1, found
        while depth:
            closing = tag.search(text, end.end())
            if closing is None:
                raise ValueError("a tag is not closed")
            end = closing
            depth += -1 if end["end"] else 1
        parts.append((found["name"], text[found.end() : end.start()]))
        at = end.end()
    return parts
