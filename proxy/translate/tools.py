"""Tool definitions: from Anthropic's form to OpenAI's, and the verdict on each call that a model makes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import jsonschema
import orjson
import referencing
import referencing.exceptions
from jsonschema.protocols import Validator

from proxy.events import ToolVerdict
from proxy.json_text import encode_json

_CACHED_SETS = 32
_MAX_DETAIL = 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one call: `input` is its parsed arguments, `detail` says what is wrong with it."""

    verdict: ToolVerdict
    input: dict[str, Any] | None = None
    detail: str = ""

    @property
    def usable(self) -> bool:
        """Whether the client may be sent this as a tool call."""
        return self.verdict in ("valid", "unchecked")


class ToolSet:
    """The tools of one request; validators are compiled when a call first needs them, and kept."""

    def __init__(self, tools: list[dict[str, Any]]) -> None:
        self.functions: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self._schemas: dict[str, dict[str, Any]] = {}
        self._validators: dict[str, Validator | str] = {}
        for tool in tools:
            schema = tool.get("input_schema")
            if not isinstance(schema, dict):
                self.notes.append(
                    f"left out the tool {tool['name']} of type {tool.get('type')}: not run here"
                )
                continue
            self._schemas[tool["name"]] = schema
            self.functions.append(_as_function(tool, schema))

    def __contains__(self, name: object) -> bool:
        return name in self._schemas

    def judge(self, name: str, arguments: str) -> Verdict:
        """Parse a call's arguments and check them against the tool's schema; nothing is repaired."""
        try:
            # A tool without parameters is called with nothing at all by many models.
            parsed = orjson.loads(arguments) if arguments.strip() else {}
        except orjson.JSONDecodeError as error:
            return Verdict("unparsed", detail=f"the arguments are not valid JSON: {error}")
        if not isinstance(parsed, dict):
            return Verdict("unparsed", detail=f"the arguments are {type(parsed).__name__}, not a JSON object")
        if name not in self._schemas:
            return Verdict("unknown_tool", parsed, f"the request offers no tool named {name!r}")
        return self._check(name, parsed)

    def _check(self, name: str, parsed: dict[str, Any]) -> Verdict:
        validator = self._validators.get(name)
        if validator is None:
            validator = self._validators[name] = _compile(self._schemas[name])
        if isinstance(validator, str):
            return Verdict("unchecked", parsed, validator)
        try:
            error = jsonschema.exceptions.best_match(validator.iter_errors(parsed))
        except Exception as fault:  # a schema may hold patterns and references of any kind
            return Verdict("unchecked", parsed, f"the tool's schema cannot be applied: {fault}"[:_MAX_DETAIL])
        if error is None:
            return Verdict("valid", parsed)
        place = "/".join(str(part) for part in error.absolute_path) or "arguments"
        return Verdict("invalid", parsed, f"{place}: {error.message}"[:_MAX_DETAIL])


_sets: OrderedDict[bytes, ToolSet] = OrderedDict()


def tool_set(tools: list[dict[str, Any]] | None) -> ToolSet:
    """The tool set of a request's `tools`; the same definitions give the same set again."""
    key = hashlib.blake2b(encode_json(tools or []), digest_size=16).digest()
    found = _sets.get(key)
    if found is None:
        found = _sets[key] = ToolSet(tools or [])
        if len(_sets) > _CACHED_SETS:
            _sets.popitem(last=False)
    else:
        _sets.move_to_end(key)
    return found


def tool_choice(choice: dict[str, Any] | None) -> dict[str, Any]:
    """OpenAI's fields for Anthropic's `tool_choice`; empty for one that means nothing here."""
    if not choice:
        return {}
    fields: dict[str, Any] = {}
    kind = choice["type"]
    if kind in ("auto", "none"):
        fields["tool_choice"] = kind
    elif kind == "any":
        fields["tool_choice"] = "required"
    elif kind == "tool":
        fields["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    if choice.get("disable_parallel_tool_use"):
        fields["parallel_tool_calls"] = False
    return fields


def _as_function(tool: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    description = tool.get("description")
    function: dict[str, Any] = {"name": tool["name"]}
    if isinstance(description, str):
        function["description"] = description
    function["parameters"] = schema
    return {"type": "function", "function": function}


def _compile(schema: dict[str, Any]) -> Validator | str:
    """A validator, or why there is none. References never leave the schema: nothing is fetched."""
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        return f"the tool's own schema is invalid: {error.message}"[:_MAX_DETAIL]
    return kind(schema, registry=referencing.Registry())
