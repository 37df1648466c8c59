"""The arguments of a call with a known tool: parsed, repaired, and coerced to the tool's schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.tool_calls.recovery.call_shapes import calls_of
from engine.tool_calls.recovery.recovered import (
    RecoveredCall,
    Unrecovered,
    one_call,
    only_outcome,
    with_repairs,
)
from engine.tool_calls.recovery.unclosed_values import split_values
from engine.tool_calls.repair.coercion import SpelledFloat, coerced
from engine.tool_calls.repair.json_repair import Reading, Unreadable, json_text, readings
from engine.tool_calls.schemas.name_matching import matching_name
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas, referenced


def recover_arguments(
    name: str, arguments: str, tools: ToolSchemas, *, ended: bool = False
) -> RecoveredCall | Unrecovered:
    """A call whose name and argument text are known separately, as in an upstream's `tool_calls`.

    `ended`: an end mark behind the arguments shows that they are not truncated, so that a number at their end
    is complete.
    """
    meant = matching_name(name, tools)
    if meant is None:
        return Unrecovered(f"the request offers no tool named {name!r}")
    repairs = () if meant == name else (f"took the tool {meant!r} for {name!r}",)
    if not arguments.strip():
        arguments = "{}"
        repairs = (*repairs, "took no arguments for an empty object")
    verdict = tools.judge(meant, arguments)
    if verdict.usable and not _is_wrapped(meant, verdict.input, tools):
        return RecoveredCall(meant, arguments, repairs, verdict)
    schema = tools[meant].parameters
    try:
        found = readings(arguments, schema, schema, ended=ended)
    except Unreadable as error:
        return Unrecovered(str(error), repairs)
    outcomes = [(one_call(_outcome(meant, each, repairs, tools)), each.suspect) for each in found]
    outcome = only_outcome(outcomes)
    return outcome if isinstance(outcome, Unrecovered) else outcome[0]


def recovered_object(
    name: str, arguments: Any, tools: ToolSchemas, repairs: tuple[str, ...], *, closed: bool = False
) -> RecoveredCall | Unrecovered:
    """A call whose arguments were read as part of a larger text, with the `repairs` made there.

    `closed`: one of the repairs closed brackets.
    """
    if arguments is None:
        arguments = {}
    meant = matching_name(name, tools)
    if closed and meant and (key := _misplaced(arguments, tools[meant])):
        return Unrecovered(_unclear(key), repairs)
    try:
        text = arguments if isinstance(arguments, str) else json_text(arguments)
    except (TypeError, ValueError) as error:
        return Unrecovered(f"the arguments are not JSON: {error}", repairs)
    return with_repairs(recover_arguments(name, text, tools), repairs)


def exact_json(text: str) -> Any:
    """JSON as Python values that keep the spelling of numbers.

    Raises:
        ValueError: the text is not JSON.
    """
    return json.loads(text, parse_float=SpelledFloat.read)


def _outcome(
    name: str, reading: Reading, before: tuple[str, ...], tools: ToolSchemas
) -> RecoveredCall | Unrecovered:
    repairs = [*before, *reading.repairs]
    tool = tools[name]
    if reading.closed and (key := _misplaced(reading.value, tool)):
        return Unrecovered(_unclear(key), tuple(repairs))
    wrapped = _is_wrapped(name, reading.value, tools)
    if (
        isinstance(reading.value, dict)
        and (verdict := tools.judge_input(name, reading.value)).usable
        and not wrapped
    ):
        return RecoveredCall(name, reading.text, tuple(repairs), verdict)
    try:
        value = exact_json(reading.text)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
            repairs.append("took the arguments out of an array")
        if isinstance(value, dict):
            inner = _unwrapped(name, value, tools)
            if inner is not None:
                value = inner
                repairs.append("took the arguments out of an object around them")
        if not isinstance(value, dict):
            return Unrecovered("the arguments are not a JSON object", tuple(repairs))
        if (split := split_values(value, tool)) is not None:
            value, unclosed = split
            repairs += [f"closed the argument {key!r}" for key in unclosed]
        value, changes = coerced(value, tool)
        repairs += changes
        text = json_text(value)
    except (ValueError, RecursionError) as error:
        return Unrecovered(f"the arguments are not JSON: {error}", tuple(repairs))
    verdict = tools.judge(name, text)
    if verdict.usable:
        return RecoveredCall(name, text, tuple(repairs), verdict)
    return Unrecovered(verdict.detail, tuple(repairs))


def _is_wrapped(name: str, value: Any, tools: ToolSchemas) -> bool:
    """Whether the arguments stand within an object, which fits a schema that allows any names as well."""
    known = tools[name].properties
    inner = _unwrapped(name, value, tools) if known and isinstance(value, dict) and value else None
    return bool(inner) and all(key in known for key in inner or ())


def _unwrapped(name: str, value: dict[str, Any], tools: ToolSchemas) -> dict[str, Any] | None:
    """The arguments within `{"arguments": {...}}`, or within a whole call given as arguments."""
    tool = tools[name]
    if any(key in tool.properties for key in value):
        return None
    if len(value) == 1 and next(iter(value)) in ("arguments", "parameters", "input", "args", "kwargs"):
        inner = next(iter(value.values()))
    else:
        calls = calls_of(value, tools)
        if len(calls) != 1 or matching_name(calls[0].name, tools) != name:
            return None
        inner = calls[0].arguments
    if isinstance(inner, str):
        try:
            inner = exact_json(inner)
        except ValueError:
            return None
    return inner if isinstance(inner, dict) else None


def _misplaced(value: Any, tool: ToolSchema) -> str | None:
    """A nested key that only an outer object has: a bracket may be missing before it."""
    return _misplaced_key(value, tool.parameters, tool.parameters, frozenset())


def _unclear(key: str) -> str:
    return f"it is not clear which object {key!r} belongs to"


def _misplaced_key(value: Any, schema: Any, root: Mapping[str, Any], outer: frozenset[str]) -> str | None:
    if isinstance(schema, dict) and isinstance(reference := schema.get("$ref"), str):
        schema = referenced(reference, root)
    schema = schema if isinstance(schema, dict) else {}
    if isinstance(value, list):
        found = (_misplaced_key(element, schema.get("items"), root, outer) for element in value)
    elif isinstance(value, dict):
        properties = schema.get("properties")
        own = properties if isinstance(properties, dict) else {}
        if keys := [str(key) for key in value if key in outer and key not in own]:
            return keys[0]
        inner = outer | own.keys()
        found = (_misplaced_key(part, own.get(key), root, inner) for key, part in value.items())
    else:
        return None
    return next((key for key in found if key), None)
