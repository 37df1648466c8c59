"""The tools of a request: their names, the schemas of their arguments, and the verdict on a call."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal
from urllib.parse import unquote

import jsonschema
import referencing
import referencing.exceptions
from jsonschema.protocols import Validator

from engine.tool_calls.schemas.keywords import FORMATS, references_counted, validator_class

VerdictKind = Literal["valid", "invalid", "unparsed", "unknown_tool", "unchecked"]

_MAX_DETAIL = 300
_JSON_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
DEFINITIONS = ("$defs", "definitions")
_MAX_DEPTH = 8  # references and alternatives followed to find a type


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of checking a call: `input` is its parsed arguments, `detail` says what is wrong."""

    verdict: VerdictKind
    input: dict[str, Any] | None = None
    detail: str = ""

    @property
    def usable(self) -> bool:
        """Whether it may be sent to the client as a tool call."""
        return self.verdict in ("valid", "unchecked")


@dataclass(frozen=True)
class ToolSchema:
    """One tool: `parameters` is the JSON schema of its arguments."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def properties(self) -> dict[str, Any]:
        """The schemas of its named arguments, in the tool's own order."""
        properties = self.parameters.get("properties")
        return properties if isinstance(properties, dict) else {}

    @property
    def required(self) -> list[str]:
        """The required arguments."""
        required = self.parameters.get("required")
        return [key for key in required if isinstance(key, str)] if isinstance(required, list) else []

    @property
    def is_unsatisfiable(self) -> bool:
        """Whether it requires arguments that it does not allow, so that no call fits."""
        others = self.parameters.get("additionalProperties")
        return any(self.properties.get(key, others) is False for key in self.required)

    def types(self, key: str) -> frozenset[str]:
        """The JSON types that an argument may have; empty if the schema names none."""
        schema = self.properties.get(key, self.parameters.get("additionalProperties"))
        return json_types(schema, self.parameters)

    def argument(self, key: str) -> ToolSchema:
        """The schema of one argument, with the definitions that it may refer to."""
        schema = self.properties.get(key, self.parameters.get("additionalProperties"))
        shared = {name: self.parameters[name] for name in DEFINITIONS if name in self.parameters}
        return ToolSchema("", shared | schema if isinstance(schema, dict) else {})

    @cached_property
    def validator(self) -> Validator | str:
        """The validator of the arguments, or why there is none.

        References outside of the schema are not followed: nothing is fetched.
        """
        try:
            kind = validator_class(
                jsonschema.validators.validator_for(self.parameters, default=jsonschema.Draft202012Validator)
            )
            kind.check_schema(self.parameters, format_checker=FORMATS)
        except jsonschema.SchemaError as error:
            return f"the tool's own schema is invalid: {error.message}"[:_MAX_DETAIL]
        except Exception as fault:  # a `$schema` that is no text, hundreds of levels
            return f"the tool's own schema cannot be read: {fault}"[:_MAX_DETAIL]
        # A nested `$schema` would select another draft's keywords.
        schema = {key: part for key, part in self.parameters.items() if key != "$schema"}
        validator: Validator = kind(schema, registry=referencing.Registry())
        return validator


class ToolSchemas(Mapping[str, ToolSchema]):
    """The tools of one request by name; a validator is compiled at its first call, and kept."""

    def __init__(self, tools: Sequence[ToolSchema]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    def __getitem__(self, name: str) -> ToolSchema:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def judge(self, name: str, arguments: str) -> Verdict:
        """Parse a call's arguments and check them against the tool's schema; nothing is repaired."""
        try:
            # Many models call a tool without parameters with no arguments at all.
            parsed = parse_json(arguments) if arguments.strip() else {}
        except ValueError as error:
            return Verdict("unparsed", detail=f"the arguments are not valid JSON: {error}"[:_MAX_DETAIL])
        if not isinstance(parsed, dict):
            return Verdict("unparsed", detail=f"the arguments are {type(parsed).__name__}, not a JSON object")
        return self.judge_input(name, parsed)

    def judge_input(self, name: str, parsed: dict[str, Any]) -> Verdict:
        """Check parsed arguments."""
        tool = self._tools.get(name)
        if tool is None:
            return Verdict("unknown_tool", parsed, f"the request offers no tool named {name!r}")
        validator = tool.validator
        if isinstance(validator, str):
            return Verdict("unchecked", parsed, validator)
        try:
            with references_counted():
                error = jsonschema.exceptions.best_match(validator.iter_errors(parsed))
        except Exception as fault:  # a schema may contain patterns and references of any kind
            return Verdict("unchecked", parsed, f"the tool's schema cannot be applied: {fault}"[:_MAX_DETAIL])
        if error is None:
            return Verdict("valid", parsed)
        place = "/".join(str(part) for part in error.absolute_path) or "arguments"
        return Verdict("invalid", parsed, f"{place}: {error.message}"[:_MAX_DETAIL])


def parse_json(text: str) -> Any:
    """A JSON value. Integers of any size are kept, and unpaired surrogates are accepted.

    A fraction beyond the range of a double, which is valid JSON, becomes the largest double.

    Raises:
        ValueError: the text is not JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else math.copysign(sys.float_info.max, number)


def tool_schemas(functions: Sequence[Mapping[str, Any]]) -> ToolSchemas:
    """The tools of a chat completion body; the same definitions return the same object."""
    return _known_schemas(json.dumps(list(functions), default=str))


@lru_cache(maxsize=32)
def _known_schemas(functions: str) -> ToolSchemas:
    return ToolSchemas([_of_function(tool["function"]) for tool in json.loads(functions)])


def _of_function(function: Mapping[str, Any]) -> ToolSchema:
    parameters = function.get("parameters")
    return ToolSchema(function["name"], parameters if isinstance(parameters, dict) else {})


def json_types(schema: Any, root: Mapping[str, Any], depth: int = 0) -> frozenset[str]:
    """The JSON types that a schema allows, as far as it names them; empty: any type."""
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return frozenset()
    if isinstance(reference := schema.get("$ref"), str):
        return json_types(referenced(reference, root), root, depth + 1)
    named = schema.get("type")
    if isinstance(named, str | list):
        return frozenset([named] if isinstance(named, str) else named) & _JSON_TYPES
    if "const" in schema or isinstance(schema.get("enum"), list):
        return frozenset(json_type(value) for value in schema.get("enum") or [schema.get("const")])
    for key in ("anyOf", "oneOf"):
        if isinstance(choices := schema.get(key), list) and choices:
            each = [json_types(choice, root, depth + 1) for choice in choices]
            return frozenset().union(*each) if all(each) else frozenset()
    if isinstance(parts := schema.get("allOf"), list):
        typed = [types for part in parts if (types := json_types(part, root, depth + 1))]
        return frozenset.intersection(*typed) if typed else frozenset()
    return frozenset()


def json_type(value: Any) -> str:
    """The JSON type of a parsed value; an integer is not a number here."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def is_among(kind: str, types: Collection[str]) -> bool:
    """Whether a value of JSON type `kind` has one of these types."""
    return kind in types or (kind == "integer" and "number" in types)


def referenced(reference: str, root: Mapping[str, Any]) -> Any:
    """The target of a JSON pointer within the schema; None for any other reference."""
    pointer = unquote(reference[1:])
    if not reference.startswith("#") or (pointer and not pointer.startswith("/")):
        return None
    found: Any = root
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part in map(str, range(len(found))):
            found = found[int(part)]
        else:
            return None
    return found
