"""Arguments with the right values and the wrong types: coerced to the types of the tool's schema.

    {"timeout": "5", "paths": "a", "all": "true"}  ->  {"timeout": 5, "paths": ["a"], "all": true}

A value that fits is never changed. Any other is changed only if the change makes it fit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema.protocols import Validator

from engine.tool_calls.repair.json_repair import Unreadable, json_text, readings
from engine.tool_calls.schemas.keywords import references_counted
from engine.tool_calls.schemas.name_matching import squash
from engine.tool_calls.schemas.tools import ToolSchema, json_types, referenced

_MAX_DEPTH = 40
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.0{1,6})?")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")
_NULLS = ("null", "None")
_BOOLEANS = {"true": True, "True": True, "false": False, "False": False}


class SpelledFloat(float):
    """A number that keeps its spelling, for a schema that wants it as text."""

    spelling: str = ""

    @classmethod
    def read(cls, text: str) -> SpelledFloat:
        """For `json.loads(parse_float=)`."""
        value = cls(text)
        value.spelling = text
        return value


def coerced(value: dict[str, Any], tool: ToolSchema) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A tool's arguments, coerced to its schema as far as possible, and what was changed."""
    validator = tool.validator
    if isinstance(validator, str):
        return value, ()
    coercion = _Coercion(tool.parameters, validator)
    try:
        with references_counted():
            changed = coercion.fit(value, tool.parameters, "")
    except Exception:  # a schema may hold patterns and references of any kind
        return value, ()
    return (changed, tuple(coercion.repairs)) if isinstance(changed, dict) else (value, ())


class _Coercion:
    def __init__(self, root: Mapping[str, Any], validator: Validator) -> None:
        self.repairs: list[str] = []
        self._root = root
        self._validator = validator
        self._depth = 0

    def fit(self, value: Any, schema: Any, place: str) -> Any:
        if not isinstance(schema, dict) or self._depth > _MAX_DEPTH or self._fits(value, schema):
            return value
        self._depth += 1
        try:
            return self._changed(value, schema, place)
        finally:
            self._depth -= 1

    def _changed(self, value: Any, schema: dict[str, Any], place: str) -> Any:
        if isinstance(reference := schema.get("$ref"), str):
            return self.fit(value, referenced(reference, self._root), place)
        for key in ("anyOf", "oneOf"):
            if isinstance(choices := schema.get(key), list):
                return self._one_of(value, schema, choices, place)
        if isinstance(parts := schema.get("allOf"), list):
            for part in parts:
                value = self.fit(value, part, place)
        types = json_types(schema, self._root)
        if isinstance(value, dict) and (not types or "object" in types):
            return self._object(value, schema, place)
        if isinstance(value, list) and (not types or "array" in types):
            return self._array(value, schema, place)
        for changed, repair in self._of_type(value, schema, types, place):
            if self._fits(changed, schema):
                if repair:
                    self.repairs.append(repair)
                return changed
        return value

    def _one_of(self, value: Any, schema: dict[str, Any], choices: list[Any], place: str) -> Any:
        """The change that the choices agree on."""
        kept = self.repairs
        found: list[tuple[str, Any, list[str]]] = []
        for choice in choices:
            self.repairs = []
            changed = self.fit(value, choice, place)
            if self._fits(changed, schema):
                found.append((json_text(changed), changed, self.repairs))
        self.repairs = kept
        if len({text for text, _, _ in found}) != 1:
            return value
        self.repairs += found[0][2]
        return found[0][1]

    def _object(self, value: dict[str, Any], schema: dict[str, Any], place: str) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        required = required if isinstance(required, list) else []
        more = schema.get("additionalProperties")
        changed: dict[str, Any] = {}
        for key, part in self._named(value, properties, place).items():
            there = f"{place}/{key}" if place else key
            of_key = properties.get(key, more)
            fitted = self.fit(part, of_key, there)
            if key in properties and key not in required and self._is_placeholder(fitted, of_key):
                self.repairs.append(f"left out {there!r}, which was {json_text(fitted)}")
            else:
                changed[key] = fitted
        return changed

    def _named(self, value: dict[str, Any], properties: dict[str, Any], place: str) -> dict[str, Any]:
        """The object with its keys as the schema spells them."""
        absent = [key for key in properties if key not in value]
        unknown = [key for key in value if key not in properties]
        renamed: dict[str, str] = {}
        for key in unknown:
            meant = [name for name in absent if squash(name) == squash(key)]
            rivals = [other for other in unknown if squash(other) == squash(key)]
            if len(meant) == 1 and len(rivals) == 1:
                renamed[key] = meant[0]
                there = f" in {place!r}" if place else ""
                self.repairs.append(f"took {key!r}{there} for {meant[0]!r}")
        return {renamed.get(key, key): part for key, part in value.items()}

    def _array(self, value: list[Any], schema: dict[str, Any], place: str) -> list[Any]:
        first = schema.get("prefixItems")
        first = first if isinstance(first, list) else []
        items = schema.get("items")
        return [
            self.fit(element, first[at] if at < len(first) else items, f"{place}/{at}")
            for at, element in enumerate(value)
        ]

    def _of_type(
        self, value: Any, schema: dict[str, Any], types: frozenset[str], place: str
    ) -> Iterator[tuple[Any, str]]:
        """The value in each type that the schema allows, and a description of the change."""
        if not types:
            return
        if isinstance(value, str) and "string" not in types:
            for kind, meant in _meant(value, types):
                yield meant, f"read {place!r} as {kind}"
            yield from self._json(value, schema, types, place)
        elif types == {"string"} and isinstance(value, bool | int | float):
            spelled = value.spelling if isinstance(value, SpelledFloat) else json_text(value)
            yield spelled, f"read {place!r} as a string"
        if types == {"array"} and not _looks_like_array(value):
            kept, self.repairs = self.repairs, []
            changed = self.fit([value], schema, place)
            inner, self.repairs = self.repairs, kept
            if self._fits(changed, schema):
                self.repairs += [f"put {place!r} into an array", *inner]
                yield changed, ""

    def _json(
        self, value: str, schema: dict[str, Any], types: frozenset[str], place: str
    ) -> Iterator[tuple[Any, str]]:
        if not types & {"array", "object"} or value.lstrip()[:1] not in ("[", "{", "`", '"'):
            return
        unescaped = _unescaped(value)
        try:
            found = readings(value if unescaped is None else unescaped, schema, self._root)
        except Unreadable:
            return
        if len(found) != 1:
            return
        kind = "an array" if isinstance(found[0].value, list) else "an object"
        if kind.split()[1] not in types:
            return
        kept = self.repairs
        spelled = "" if unescaped is None else ", which was escaped as a string"
        self.repairs = [
            f"read {place!r} as {kind}{spelled}",
            *(f"{place}: {repair}" for repair in found[0].repairs),
        ]
        changed = self.fit(json.loads(found[0].text), schema, place)
        mine, self.repairs = self.repairs, kept
        if self._fits(changed, schema):
            self.repairs += mine
            yield changed, ""

    def _is_placeholder(self, value: Any, schema: Any) -> bool:
        """Whether an optional argument has a placeholder for no value, which its schema does not allow."""
        types = json_types(schema, self._root)
        if self._fits(value, schema) or not types or "null" in types:
            return False
        return value is None or ("string" not in types and value in ("", *_NULLS))

    def _fits(self, value: Any, schema: Any) -> bool:
        if not isinstance(schema, dict):
            return schema is not False
        return bool(self._validator.evolve(schema=schema).is_valid(value))


def _meant(text: str, types: frozenset[str]) -> Iterator[tuple[str, Any]]:
    if "null" in types and text in ("", *_NULLS):
        yield "null", None
    if "boolean" in types and text.strip() in _BOOLEANS:
        yield "a boolean", _BOOLEANS[text.strip()]
    if types & {"integer", "number"} and _INTEGER.fullmatch(text.strip()):
        yield "a number", int(text.strip().split(".")[0])
    elif "number" in types and _NUMBER.fullmatch(text.strip()):
        yield "a number", float(text)


def _unescaped(text: str) -> str | None:
    """JSON whose quotes are all escaped, as within a string, without these escapes; None if it is another."""
    if '\\"' not in text:
        return None
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return None


def _looks_like_array(value: Any) -> bool:
    return value is None or isinstance(value, list) or (isinstance(value, str) and value.lstrip()[:1] == "[")
