"""The grammar of Gemma's notation, from tools' schemas.

Members are ordered by name, as Gemma's templates sort them: each at most once, required ones always. A string
may contain anything but its mark.

Not constrained, and left to the verdict: `allOf`, `not`, `if`, patterns of names, unique items, and for
strings everything but length, pattern and enumeration. Objects that name no properties are empty or have
values of `additionalProperties`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.tool_calls.reading.family import ArgumentsRule
from engine.tool_calls.schemas.lark_text import choice, literal, pattern_covers, text_pattern
from engine.tool_calls.schemas.pattern_source import escaped, pattern
from engine.tool_calls.schemas.text_schemas import ANNOTATIONS, are_disjoint
from engine.tool_calls.schemas.tools import ToolSchema, is_among, json_type, json_types, referenced

_BARE = "number", "integer", "boolean", "null"
_MAX_ITEMS = 1000
_MAX_KEY_LENGTH = 256
_MAX_REFERENCES = 8


def gemma_rules(end: str, quote: str, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
    """Lark rules; `gemma` matches a call from its name to its `end` mark."""
    rules = _Rules(quote, arguments)
    calls = [f"{literal(tool.name)} {rules.call(tool)} {literal(end)}" for tool in tools]
    return "\n".join(["gemma: " + "\n  | ".join(calls), *rules.lines.values()])


def gemma_unconstrained(quote: str, tool: ToolSchema) -> str:
    """The part of a tool's schema that these rules do not enforce; empty for none."""
    if tool.parameters.get("type", "object") != "object":
        return "arguments that are not an object"
    where = _unconstrained({**tool.parameters, "type": "object"}, tool.parameters, "arguments", set(), quote)
    return f"the whole schema of {where!r}" if where else ""


def _unconstrained(schema: Any, root: Mapping[str, Any], place: str, seen: set[str], quote: str) -> str:
    """The first place of a schema that these rules do not enforce fully."""
    if not isinstance(schema, dict):
        return "" if schema is True or schema is None else place
    constraints = schema.keys() - ANNOTATIONS
    if "$ref" in constraints:
        reference = str(schema["$ref"])
        if constraints != {"$ref"} or (found := _followed(reference, root)) is None:
            return place
        known = reference in seen
        return "" if known else _unconstrained(found, root, place, seen | {reference}, quote)
    if constraints & {"enum", "const"}:
        is_plain = constraints in ({"enum"}, {"const"}, {"enum", "type"}, {"const", "type"})
        return "" if is_plain and _fitting(schema, root) else place
    for key in ("anyOf", "oneOf"):
        if isinstance(parts := schema.get(key), list) and parts:
            if constraints != {key} or (key == "oneOf" and not are_disjoint(parts, root)):
                return place
            return next(
                (where for part in parts if (where := _unconstrained(part, root, place, seen, quote))), ""
            )
    types = json_types(schema, root)
    if (
        not constraints
        or not types
        or constraints - _CONSTRAINED
        or ("string" in types and not pattern_covers(schema))
    ):
        return place if constraints else ""
    if any(isinstance(n := schema.get(key), int) and n > _MAX_ITEMS for key in ("minItems", "maxItems")):
        return place
    tool = ToolSchema("", schema)
    if tool.is_unsatisfiable:
        return place
    properties = {key: part for key, part in tool.properties.items() if part is not False}
    if not all(_is_readable(key, quote) for key in [*properties, *tool.required]):
        return place
    inner = [(f"{place}/{key}", part) for key, part in properties.items()]
    inner += [(place, schema["items"])] if "items" in schema else []
    others = schema.get("additionalProperties", False)
    inner += [(place, others)] if others is not False else []
    return next(
        (where for there, part in inner if (where := _unconstrained(part, root, there, seen, quote))), ""
    )


_CONSTRAINED = frozenset(
    [
        *("type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems"),
        *("minLength", "maxLength", "pattern"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    ]
)


@dataclass
class _Rules:
    quote: str
    arguments: ArgumentsRule
    tool: ToolSchema = field(default_factory=lambda: ToolSchema(""))
    lines: dict[str, str] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)

    def call(self, tool: ToolSchema) -> str:
        """The arguments of a call."""
        self.tool = tool
        return self.members(tool.parameters, tool.parameters)

    def value(self, schema: Any, root: Mapping[str, Any]) -> str:
        """An expression for a value."""
        if not isinstance(schema, dict):
            return self._anything()
        if isinstance(reference := schema.get("$ref"), str):
            found = _followed(reference, root)
            return self._rule(reference, root, found) if found is not None else self._anything()
        if "const" in schema or isinstance(schema.get("enum"), list):
            values = _fitting(schema, root)
            return choice([literal(gemma_text(value, self.quote)) for value in values] or [self._anything()])
        for key in ("anyOf", "oneOf"):
            if isinstance(parts := schema.get(key), list) and parts:
                shared = {name: schema[name] for name in schema if name != key}
                branches = [{**shared, **part} if isinstance(part, dict) else part for part in parts]
                return choice(list(dict.fromkeys(self.value(branch, root) for branch in branches)))
        types = json_types(schema, root)
        if not types:
            return self._anything()
        return choice(list(dict.fromkeys(self._typed(kind, schema, root) for kind in sorted(types))))

    def members(self, schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
        """An object, braces included."""
        tool = ToolSchema("", dict(schema))
        required = set(tool.required)
        keys = [key for key, part in tool.properties.items() if part is not False or key in required]
        keys = sorted(keys + [key for key in tool.required if key not in keys], key=str.lower)
        if not keys:
            extra = schema.get("additionalProperties")
            return self._mapping(extra, root) if isinstance(extra, dict) and extra else literal("{}")
        # Two chains: before the first member, and after it, where a comma is needed.
        name = f"gemma_{len(self.lines)}"
        self.lines[name] = ""
        for place, key in enumerate(keys):
            schema_of = tool.properties.get(key, schema.get("additionalProperties"))
            value = self.value(schema_of, root)
            behind = f"{name}_{place + 1}"
            member = f"{literal(bare_key(key, self.quote) + ':')} {value} {behind}"
            skip = "" if key in required else f" | {behind}"
            self.lines[f"{name}_{place}"] = f'{name}_{place}: "," {member}{skip}'
            skip = "" if key in required else f" | {name}_first_{place + 1}"
            self.lines[f"{name}_first_{place}"] = f"{name}_first_{place}: {member}{skip}"
        for chain in (name, f"{name}_first"):
            self.lines[f"{chain}_{len(keys)}"] = f'{chain}_{len(keys)}: "}}"'
        self.lines[name] = f'{name}: "{{" {name}_first_0'
        return name

    def _typed(self, kind: str, schema: dict[str, Any], root: Mapping[str, Any]) -> str:
        if kind == "string":
            return f"{literal(self.quote)} {self._text(schema)}"
        if kind in _BARE:
            return self.arguments(self.tool, {**schema, "type": kind})
        if kind == "object":
            return self._rule(json.dumps(schema, sort_keys=True, default=str), root, schema, kind)
        items = self.value(schema.get("items"), root)
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        least = least if isinstance(least, int) and 0 <= least <= _MAX_ITEMS else 0
        if isinstance(most, int) and most <= _MAX_ITEMS:
            if most < 1:
                return literal("[]")
            more = f"{{{max(least - 1, 0)},{most - 1}}}" if most > 1 else "{0}"
        else:
            more = f"{{{least - 1},}}" if least > 1 else "*"
        listed = f'"[" {items} "]"' if more == "{0}" else f'"[" {items} ("," {items}){more} "]"'
        return f"({listed})" if least else f'({listed} | "[]")'

    def _rule(self, name: str, root: Mapping[str, Any], schema: Any, kind: str = "") -> str:
        """A rule that is written once; it may be recursive."""
        key = f"{id(root)} {kind} {name}"
        if key not in self.known:
            rule = self.known[key] = f"gemma_shared_{len(self.known)}"
            self.lines[rule] = ""
            body = self.members(schema, root) if kind else self.value(schema, root)
            self.lines[rule] = f"{rule}: {body}"
        return self.known[key]

    def _text(self, schema: Mapping[str, Any]) -> str:
        bounds = text_pattern(schema)
        if bounds is None:
            self.lines.setdefault(
                "gemma_text", f"gemma_text[lazy]: {pattern('(?s:.*)' + escaped(self.quote))}"
            )
            return "gemma_text"
        if bounds not in self.known:
            rule = self.known[bounds] = f"gemma_text_{len(self.known)}"
            self.lines[rule] = f"{rule}[lazy]: {pattern(bounds + escaped(self.quote))}"
        return self.known[bounds]

    def _mapping(self, value: Any, root: Mapping[str, Any]) -> str:
        member = f"GEMMA_KEY {self.value(value, root)}"
        self.lines.setdefault("GEMMA_KEY", "GEMMA_KEY: /[a-zA-Z_][a-zA-Z0-9_-]{0,60}:/")
        return f'("{{}}" | "{{" {member} ("," {member})* "}}")'

    def _anything(self) -> str:
        if "gemma_value" not in self.lines:
            self.lines["gemma_value"] = ""
            bare = self.arguments(self.tool, {"type": list(_BARE[:1] + _BARE[2:])})
            text, mapping = self._text({}), self._mapping(None, {})
            listed = '("[]" | "[" gemma_value ("," gemma_value)* "]")'
            self.lines["gemma_value"] = (
                f"gemma_value: {literal(self.quote)} {text} | {bare} | {mapping} | {listed}"
            )
        return "gemma_value"


def _followed(reference: str, root: Mapping[str, Any]) -> Any:
    """The target of a chain of references; None if there is none, or the chain is circular."""
    for _ in range(_MAX_REFERENCES):
        found = referenced(reference, root)
        if not isinstance(found, dict) or not isinstance(found.get("$ref"), str):
            return found
        reference = found["$ref"]
    return None


def _fitting(schema: Mapping[str, Any], root: Mapping[str, Any]) -> list[Any]:
    """The enumerated values that have an allowed type."""
    values = schema["enum"] if isinstance(schema.get("enum"), list) else [schema.get("const")]
    types = json_types(schema, root)
    return [value for value in values if not types or is_among(json_type(value), types)]


def gemma_text(value: Any, quote: str) -> str:
    """A value in the notation."""
    if isinstance(value, str):
        return f"{quote}{value}{quote}"
    if isinstance(value, Mapping):
        members = ",".join(f"{bare_key(key, quote)}:{gemma_text(part, quote)}" for key, part in value.items())
        return f"{{{members}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(gemma_text(part, quote) for part in value)}]"
    return json.dumps(value)


def bare_key(key: str, quote: str) -> str:
    """A member's name, between marks if it needs them."""
    is_bare = key and not any(letter.isspace() or letter in ',:{}[]<>"' for letter in key)
    return key if is_bare else f"{quote}{key}{quote}"


def _is_readable(key: str, quote: str) -> bool:
    """Whether the reader accepts it as a member's name."""
    return 0 < len(key) <= _MAX_KEY_LENGTH and "\n" not in key and quote not in key
