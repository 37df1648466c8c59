"""The grammar of calls in a notation much like JSON, from tools' schemas.

Members come in one order, each at most once, required ones always.

Not constrained, and left to the verdict: `allOf`, `not`, `if`, patterns of names, unique items, and for
strings everything but length, pattern and enumeration. Objects that name no properties are empty or have
values of `additionalProperties`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.tool_calls.reading.family import ArgumentsRule
from engine.tool_calls.schemas.lark_text import choice, literal, pattern_covers
from engine.tool_calls.schemas.text_schemas import ANNOTATIONS, are_disjoint
from engine.tool_calls.schemas.tools import ToolSchema, is_among, json_type, json_types, referenced

_BARE = "number", "integer", "boolean", "null"
_MAX_ITEMS = 1000
_MAX_REFERENCES = 8


@dataclass(frozen=True, slots=True)
class Notation:
    """How a family writes values.

    `letters` begin the names of its rules. `key` is a member's name with what stands behind it, and `text` a
    value, as texts; for `key`, `outermost` says that it is an argument's name. `string` is the expression for
    strings of a schema, given a function that adds a lazy rule of that source. `words` are expressions for
    JSON types that it does not write as JSON does. `any_key` is the pattern of names that no schema has;
    without it objects with such names are written as JSON. `value_end` stands behind all values; `text` and
    `string` have it already. `key_end` stands behind a member's value, and `item` around those of a list.
    """

    letters: str
    key: Callable[[str, bool], str]
    text: Callable[[Any], str]
    string: Callable[[Mapping[str, Any], Callable[[str], str]], str]
    is_readable: Callable[[str, bool], bool]  # whether the reader takes it as a member's name
    braces: tuple[str, str] = ("{", "}")  # around arguments
    comma: str = '","'  # an expression
    words: Mapping[str, str] = field(default_factory=dict)
    sorts: bool = False  # members are sorted by their names
    any_key: str = ""
    value_end: str = ""
    key_end: Callable[[str], str] = lambda _: ""
    item: tuple[str, str] = ("", "")
    lists: tuple[str, str] = ("[", "]")  # around lists
    objects: tuple[str, str] = ("{", "}")  # around objects within arguments


def notation_rules(
    notation: Notation, call: tuple[str, str], tools: Sequence[ToolSchema], arguments: ArgumentsRule
) -> str:
    """Lark rules; the rule named by the notation's letters matches NAME, arguments, and the texts of `call`
    before and behind them."""
    rules = _Rules(notation, arguments)
    before, behind = (f"{literal(text)} " if text else "" for text in call)
    rest = f"{notation.letters}_call"
    # A name with what opens the arguments, so that one lexeme may begin a call.
    calls = [
        f"{before}{literal(tool.name + notation.braces[0])} {rest}_{place} {behind}".strip()
        for place, tool in enumerate(tools)
    ]
    arguments_of = [f"{rest}_{place}: {rules.call(tool)}" for place, tool in enumerate(tools)]
    return "\n".join([f"{notation.letters}: " + "\n  | ".join(calls), *arguments_of, *rules.lines.values()])


class NotationValues:
    """Rules for the values of single arguments."""

    def __init__(self, notation: Notation, arguments: ArgumentsRule) -> None:
        self._rules = _Rules(notation, arguments)

    @property
    def lines(self) -> list[str]:
        """The rules that the values refer to."""
        return list(self._rules.lines.values())

    def value(self, tool: ToolSchema, key: str) -> str:
        """An expression for a value, with what stands behind a member."""
        self._rules.tool = tool
        schema = tool.properties.get(key, tool.parameters.get("additionalProperties"))
        value = self._rules.value(schema, tool.parameters)
        return f"{value} {_literal(self._rules.notation.key_end(key))}"


def notation_unconstrained(notation: Notation, tool: ToolSchema) -> str:
    """The part of a tool's schema that these rules do not enforce; empty for none."""
    if tool.parameters.get("type", "object") != "object":
        return "arguments that are not an object"
    schema = {**tool.parameters, "type": "object"}
    where = _unconstrained(schema, tool.parameters, "arguments", set(), notation)
    return f"the whole schema of {where!r}" if where else ""


def _unconstrained(
    schema: Any, root: Mapping[str, Any], place: str, seen: set[str], notation: Notation
) -> str:
    """The first place of a schema that these rules do not enforce fully."""
    if not isinstance(schema, dict):
        return "" if schema is True or schema is None else place
    constraints = schema.keys() - ANNOTATIONS
    if "$ref" in constraints:
        reference = str(schema["$ref"])
        if constraints != {"$ref"} or (found := _followed(reference, root)) is None:
            return place
        known = reference in seen
        return "" if known else _unconstrained(found, root, place, seen | {reference}, notation)
    if constraints & {"enum", "const"}:
        is_plain = constraints in ({"enum"}, {"const"}, {"enum", "type"}, {"const", "type"})
        return "" if is_plain and _fitting(schema, root) else place
    for key in ("anyOf", "oneOf"):
        if isinstance(parts := schema.get(key), list) and parts:
            if constraints != {key} or (key == "oneOf" and not are_disjoint(parts, root)):
                return place
            return next(
                (where for part in parts if (where := _unconstrained(part, root, place, seen, notation))), ""
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
    outermost = place == "arguments" and schema is not None
    if not all(notation.is_readable(key, outermost) for key in [*properties, *tool.required]):
        return place
    inner = [(f"{place}/{key}", part) for key, part in properties.items()]
    inner += [(place, schema["items"])] if "items" in schema else []
    others = schema.get("additionalProperties", False)
    inner += [(place, others)] if others is not False else []
    return next(
        (where for there, part in inner if (where := _unconstrained(part, root, there, seen, notation))), ""
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
    notation: Notation
    arguments: ArgumentsRule
    tool: ToolSchema = field(default_factory=lambda: ToolSchema(""))
    lines: dict[str, str] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)

    def call(self, tool: ToolSchema) -> str:
        """The arguments of a call, with the brace behind them."""
        self.tool = tool
        return self.members(tool.parameters, tool.parameters, outermost=True)

    def value(self, schema: Any, root: Mapping[str, Any]) -> str:
        """An expression for a value."""
        if not isinstance(schema, dict):
            return self._anything()
        if isinstance(reference := schema.get("$ref"), str):
            found = _followed(reference, root)
            return self._rule(reference, root, found) if found is not None else self._anything()
        if "const" in schema or isinstance(schema.get("enum"), list):
            values = _fitting(schema, root)
            return choice([literal(self.notation.text(value)) for value in values] or [self._anything()])
        for key in ("anyOf", "oneOf"):
            if isinstance(parts := schema.get(key), list) and parts:
                shared = {name: schema[name] for name in schema if name != key}
                branches = [{**shared, **part} if isinstance(part, dict) else part for part in parts]
                return choice(list(dict.fromkeys(self.value(branch, root) for branch in branches)))
        types = json_types(schema, root)
        if not types:
            return self._anything()
        return choice(list(dict.fromkeys(self._typed(kind, schema, root) for kind in sorted(types))))

    def members(self, schema: Mapping[str, Any], root: Mapping[str, Any], *, outermost: bool = False) -> str:
        """An object, braces included; of the arguments, without the first."""
        notation = self.notation
        begin, end = ("", notation.braces[1]) if outermost else notation.objects
        tool = ToolSchema("", dict(schema))
        required = set(tool.required)
        keys = [key for key, part in tool.properties.items() if part is not False or key in required]
        keys += [key for key in tool.required if key not in keys]
        keys = sorted(keys, key=str.lower) if notation.sorts else keys
        if not keys:
            extra = schema.get("additionalProperties")
            free = isinstance(extra, dict) and extra and not outermost
            return self._mapping(extra, root) if free else literal(begin + end)
        # Two chains: before the first member, and after it, where a comma is needed.
        name = f"{notation.letters}_{len(self.lines)}"
        self.lines[name] = ""
        for place, key in enumerate(keys):
            schema_of = tool.properties.get(key, schema.get("additionalProperties"))
            value = self.value(schema_of, root)
            behind = f"{name}_{place + 1}"
            key_text, key_end = literal(notation.key(key, outermost)), _literal(notation.key_end(key))
            member = f"{key_text} {value} {key_end} {behind}"
            skip = "" if key in required else f" | {behind}"
            self.lines[f"{name}_{place}"] = f"{name}_{place}: {notation.comma} {member}{skip}"
            skip = "" if key in required else f" | {name}_first_{place + 1}"
            self.lines[f"{name}_first_{place}"] = f"{name}_first_{place}: {member}{skip}"
        for chain in (name, f"{name}_first"):
            self.lines[f"{chain}_{len(keys)}"] = f"{chain}_{len(keys)}: {literal(end)}"
        self.lines[name] = f"{name}: {_literal(begin)} {name}_first_0"
        return name

    def _typed(self, kind: str, schema: dict[str, Any], root: Mapping[str, Any]) -> str:
        if kind == "string":
            return self.notation.string(schema, self._lazy)
        if kind in self.notation.words:
            return f"{self.notation.words[kind]} {self._value_end()}".strip()
        if kind in _BARE:
            return f"{self.arguments(self.tool, {**schema, 'type': kind})} {self._value_end()}".strip()
        if kind == "object":
            return self._rule(json.dumps(schema, sort_keys=True, default=str), root, schema, kind)
        items = self.value(schema.get("items"), root)
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        least = least if isinstance(least, int) and 0 <= least <= _MAX_ITEMS else 0
        begin, end = self.notation.lists
        if isinstance(most, int) and most <= _MAX_ITEMS:
            if most < 1:
                return literal(begin + end)
            more = f"{{{max(least - 1, 0)},{most - 1}}}" if most > 1 else "{0}"
        else:
            more = f"{{{least - 1},}}" if least > 1 else "*"
        before, behind = map(_literal, self.notation.item)
        item = f"{before} {items} {behind}"
        others = "" if more == "{0}" else f"({self.notation.comma} {item}){more}"
        listed = f"{_literal(begin)} {item} {others} {literal(end)}"
        return f"({listed})" if least else f"({listed} | {literal(begin + end)})"

    def _rule(self, name: str, root: Mapping[str, Any], schema: Any, kind: str = "") -> str:
        """A rule that is written once; it may be recursive."""
        key = f"{id(root)} {kind} {name}"
        if key not in self.known:
            rule = self.known[key] = f"{self.notation.letters}_shared_{len(self.known)}"
            self.lines[rule] = ""
            body = self.members(schema, root) if kind else self.value(schema, root)
            self.lines[rule] = f"{rule}: {body}"
        return self.known[key]

    def _lazy(self, source: str) -> str:
        """The rule of a lazy lexeme."""
        if source not in self.known:
            rule = self.known[source] = f"{self.notation.letters}_text_{len(self.known)}"
            self.lines[rule] = f"{rule}[lazy]: {source}"
        return self.known[source]

    def _mapping(self, value: Any, root: Mapping[str, Any]) -> str:
        if not self.notation.any_key:
            free = {"type": "object"} | ({"additionalProperties": value} if isinstance(value, dict) else {})
            return f"{self.arguments(self.tool, free)} {self._value_end()}"
        key = f"{self.notation.letters.upper()}_KEY"
        member = f"{key} {self.value(value, root)}"
        self.lines.setdefault(key, f"{key}: {self.notation.any_key}")
        return f'("{{}}" | "{{" {member} ({self.notation.comma} {member})* "}}")'

    def _value_end(self) -> str:
        return _literal(self.notation.value_end)

    def _anything(self) -> str:
        if self.notation.value_end:  # what no schema names is a text up to there
            return self.notation.string({}, self._lazy)
        rule = f"{self.notation.letters}_value"
        if rule not in self.lines:
            self.lines[rule] = ""
            plain = [kind for kind in (*_BARE[:1], *_BARE[2:]) if kind not in self.notation.words]
            ways = [self.notation.string({}, self._lazy), self.arguments(self.tool, {"type": plain})]
            ways += [self.notation.words[kind] for kind in _BARE if kind in self.notation.words]
            ways.append(self._mapping(None, {}))
            ways.append(f'("[]" | "[" {rule} ({self.notation.comma} {rule})* "]")')
            self.lines[rule] = f"{rule}: " + " | ".join(ways)
        return rule


def _literal(text: str) -> str:
    return literal(text) if text else ""


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
