"""What an argument may be where it stands as bare text: free text, fixed words, or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.tool_calls.schemas import ToolSchema, json_type, json_types, referenced

_REMARKS = frozenset(
    [
        "title",
        "description",
        "default",
        "examples",
        "example",
        "deprecated",
        "readOnly",
        "writeOnly",
        "format",
        "$comment",
        "$defs",
        "definitions",
        "$schema",
        "$id",
        "contentEncoding",
        "contentMediaType",
    ]
)
"""Keywords that restrict nothing, as the verdict on a call sees it."""
_BARE_JSON = ["object", "array", "number", "boolean"]
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class TextSchema:
    """`texts` are schemas of strings, `words` strings of an enumeration, `json` schemas of other values."""

    texts: tuple[dict[str, Any], ...] = ()
    words: tuple[str, ...] = ()
    json: tuple[dict[str, Any], ...] = ()

    def __add__(self, other: TextSchema) -> TextSchema:
        return TextSchema(self.texts + other.texts, self.words + other.words, self.json + other.json)


def text_schema(argument: ToolSchema) -> TextSchema:
    """Take the schema of one argument apart."""
    return _parted(argument.parameters, argument.parameters, 0)


def _parted(schema: Any, root: Mapping[str, Any], depth: int) -> TextSchema:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return TextSchema(texts=({},))
    asks = schema.keys() - _REMARKS
    if not asks:
        return TextSchema(texts=({},))
    if asks == {"$ref"}:
        found = referenced(schema["$ref"], root)
        return _parted(found, root, depth + 1) if found is not None else TextSchema(json=(schema,))
    for key in ("anyOf", "oneOf"):
        if asks == {key} and isinstance(schema[key], list):
            return sum((_parted(part, root, depth + 1) for part in schema[key]), TextSchema())
    types = json_types(schema, root)
    if "enum" in asks or "const" in asks:
        return _of_values(schema, types)
    if not types:
        return TextSchema(json=({"allOf": [schema, {"type": _BARE_JSON}]},))
    if "string" not in types:
        return TextSchema(json=(schema,))
    others = sorted(types - {"string"})
    if not others:
        return TextSchema(texts=(schema,))
    if "type" not in asks:
        return TextSchema(texts=({},))
    return TextSchema(texts=({**schema, "type": "string"},), json=({**schema, "type": others},))


def _of_values(schema: dict[str, Any], types: frozenset[str]) -> TextSchema:
    values = schema["enum"] if isinstance(schema.get("enum"), list) else [schema.get("const")]
    if types:
        values = [value for value in values if json_type(value) in types or "number" in types]
    words = tuple(dict.fromkeys(value for value in values if isinstance(value, str)))
    others = [value for value in values if not isinstance(value, str)]
    return TextSchema(words=words, json=({"enum": others},) if others else ())
