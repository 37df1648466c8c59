"""Tool definitions: from Anthropic's form to OpenAI's, and the verdict on each call that a model makes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas, Verdict
from engine.wire.json_text import encode_json
from proxy.anthropic.client_tools import ToolDefinition, known_tools
from proxy.translate.server_tools import ServerTool, server_tool

__all__ = ["ToolSet", "Verdict", "functions_of", "tool_choice", "tool_set"]


class ToolSet:
    """The tools of one request: `functions` as OpenAI's API takes them, `schemas` to judge their calls.

    `members` are those of Anthropic's toolsets, by the name that the model knows them by. `deferred` are the
    tools that a prompt shows only where something refers to them. Of the tools `named` only the name is
    known: the client says what is wrong with a call.
    """

    def __init__(self, tools: list[dict[str, Any]], named: Sequence[str] = ()) -> None:
        self.functions: list[dict[str, Any]] = []
        self.members: dict[str, ToolDefinition] = {}
        self.deferred: set[str] = set()
        self.notes: list[str] = []
        schemas: list[ToolSchema] = []
        self.served: dict[str, ServerTool] = {}
        """The tools that the proxy runs itself, by name."""
        for tool in tools:
            name = tool.get("name") or tool.get("mcp_server_name") or tool.get("type")
            callers = tool.get("allowed_callers")
            if isinstance(callers, list) and callers and "direct" not in callers:
                self.notes.append(f"left out the tool {name}: only code on the vendor's server may call it")
                continue
            if (served := server_tool(tool)) is not None:
                self.served[served.kind] = served
            definitions = [served.definition] if served is not None else _definitions(tool)
            if not definitions:
                self.notes.append(f"left out the tool {name} of type {tool.get('type')}: not run here")
            for definition in definitions:
                schemas.append(ToolSchema(definition.name, definition.schema))
                self.functions.append(_as_function(definition, tool.get("input_examples")))
                if definition.family:
                    self.members[definition.name] = definition
                if tool.get("defer_loading") is True:
                    self.deferred.add(definition.name)
        known = {schema.name for schema in schemas}
        self._named = frozenset(name for name in named if name not in known)
        self.schemas = ToolSchemas([*schemas, *map(ToolSchema, sorted(self._named))])

    def block_names(self, name: str) -> dict[str, str]:
        """How a `tool_use` block names a tool that the model has called."""
        member = self.members.get(name)
        return {"name": member.member, "toolset_name": member.family} if member else {"name": name}

    def __contains__(self, name: object) -> bool:
        return name in self.schemas

    def judge(self, name: str, arguments: str) -> Verdict:
        """Parse a call's arguments and check them against the tool's schema; nothing is repaired."""
        verdict = self.schemas.judge(name, arguments)
        if name in self._named and verdict.usable:
            return Verdict(
                "unchecked", verdict.input, "its definition was not loaded: only the name is known"
            )
        return verdict


def tool_set(tools: list[dict[str, Any]] | None, named: Sequence[str] = ()) -> ToolSet:
    """The tool set of a request's `tools`; the same definitions give the same set again."""
    return _known_set(encode_json(tools or []), tuple(named))


def functions_of(tool: dict[str, Any]) -> list[dict[str, Any]]:
    """What one entry of `tools` offers to the model, in OpenAI's form."""
    return tool_set([tool]).functions


@lru_cache(maxsize=32)
def _known_set(tools: bytes, named: tuple[str, ...]) -> ToolSet:
    return ToolSet(json.loads(tools), named)


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


def _definitions(tool: dict[str, Any]) -> list[ToolDefinition]:
    """What an entry offers to the model: with a schema itself, else what its type stands for."""
    schema = tool.get("input_schema")
    if not isinstance(schema, dict) or not isinstance(tool.get("name"), str):
        return known_tools(tool)
    description = tool.get("description")
    return [ToolDefinition(tool["name"], description if isinstance(description, str) else None, schema)]


def _as_function(definition: ToolDefinition, examples: Any) -> dict[str, Any]:
    function: dict[str, Any] = {"name": definition.name}
    shown = encode_json(examples).decode() if isinstance(examples, list) and examples else ""
    description = definition.description
    if shown:
        description = "\n\n".join(filter(None, [description, f"Examples of its input: {shown}"]))
    if description is not None:
        function["description"] = description
    function["parameters"] = definition.schema
    return {"type": "function", "function": function}
