"""The schema of an argument in bare text: free text, fixed words, or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.tool_calls.schemas.lark_text import pattern_covers
from engine.tool_calls.schemas.tools import ToolSchema, is_among, json_type, json_types, referenced

ANNOTATIONS = frozenset(
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
"""Keywords that the verdict on a call ignores: annotations, in JSON Schema's terms."""
_OF_STRINGS = frozenset(["type", "minLength", "maxLength", "pattern"])
_OF_OTHERS = frozenset(
    [
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("properties", "required", "additionalProperties", "patternProperties", "propertyNames"),
        *("minProperties", "maxProperties", "dependentRequired"),
        *("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
    ]
)
"""Keywords that do not apply to strings."""
_BARE_JSON = ["object", "array", "number", "boolean"]
_MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class TextSchema:
    """`texts` are schemas of strings, `words` are enumerated strings, `json` are schemas of other values.

    `whole`: the parts express everything that the schema says.
    """

    texts: tuple[dict[str, Any], ...] = ()
    words: tuple[str, ...] = ()
    json: tuple[dict[str, Any], ...] = ()
    whole: bool = True

    def __add__(self, other: TextSchema) -> TextSchema:
        return TextSchema(
            self.texts + other.texts,
            self.words + other.words,
            self.json + other.json,
            self.whole and other.whole,
        )


def text_schema(argument: ToolSchema) -> TextSchema:
    """Split the schema of one argument into parts."""
    parts = _parted(argument.parameters, argument.parameters, 0)
    # If no value fits, as with an empty enumeration, the grammar would block the call.
    return parts if parts.texts or parts.words or parts.json else TextSchema(texts=({},), whole=False)


def _parted(schema: Any, root: Mapping[str, Any], depth: int) -> TextSchema:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return TextSchema(texts=({},), whole=schema is True)
    constraints = schema.keys() - ANNOTATIONS
    if not constraints:
        return TextSchema(texts=({},))
    if constraints == {"$ref"} and isinstance(schema["$ref"], str):
        return _parted(referenced(schema["$ref"], root), root, depth + 1)
    for key in ("anyOf", "oneOf"):
        if constraints == {key} and isinstance(schema[key], list):
            parts = [_parted(part, root, depth + 1) for part in schema[key]]
            return sum(parts, TextSchema(whole=key == "anyOf" or are_disjoint(schema[key], root)))
    types = json_types(schema, root)
    if "enum" in constraints or "const" in constraints:
        return _of_values(schema, types)
    if not types:
        return TextSchema(json=({"allOf": [schema, {"type": _BARE_JSON}]},))
    if "string" not in types:
        return TextSchema(json=(schema,))
    others = sorted(types - {"string"})
    whole = constraints <= _OF_STRINGS | _OF_OTHERS and pattern_covers(schema)
    if not others:
        return TextSchema(texts=(schema,), whole=whole)
    if "type" not in constraints:
        return TextSchema(texts=({},), whole=False)
    return TextSchema(texts=({**schema, "type": "string"},), json=({**schema, "type": others},), whole=whole)


def are_disjoint(choices: list[Any], root: Mapping[str, Any]) -> bool:
    """Whether no value can fit two of the choices, judged by their types."""
    seen: set[str] = set()
    for choice in choices:
        types = {"number" if kind == "integer" else kind for kind in json_types(choice, root)}
        if not types or not types.isdisjoint(seen):
            return False
        seen |= types
    return True


def _of_values(schema: dict[str, Any], types: frozenset[str]) -> TextSchema:
    values = schema["enum"] if isinstance(schema.get("enum"), list) else [schema.get("const")]
    if types:
        values = [value for value in values if is_among(json_type(value), types)]
    words = tuple(dict.fromkeys(value for value in values if isinstance(value, str)))
    others = [value for value in values if not isinstance(value, str)]
    whole = (
        schema.keys() - ANNOTATIONS <= {"type", "enum", "const"} and not {"enum", "const"} <= schema.keys()
    )
    return TextSchema(words=words, json=({"enum": others},) if others else (), whole=whole)
