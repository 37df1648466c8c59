"""Tool definitions: from Anthropic's form to OpenAI's, and the verdict on each call that a model makes."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas, Verdict
from engine.wire.json_text import encode_json

__all__ = ["ToolSet", "Verdict", "tool_choice", "tool_set"]


class ToolSet:
    """The tools of one request: `functions` as OpenAI's API takes them, `schemas` to judge their calls."""

    def __init__(self, tools: list[dict[str, Any]]) -> None:
        self.functions: list[dict[str, Any]] = []
        self.notes: list[str] = []
        schemas: list[ToolSchema] = []
        for tool in tools:
            schema = tool.get("input_schema")
            if not isinstance(schema, dict):
                self.notes.append(
                    f"left out the tool {tool['name']} of type {tool.get('type')}: not run here"
                )
                continue
            schemas.append(ToolSchema(tool["name"], schema))
            self.functions.append(_as_function(tool, schema))
        self.schemas = ToolSchemas(schemas)

    def __contains__(self, name: object) -> bool:
        return name in self.schemas

    def judge(self, name: str, arguments: str) -> Verdict:
        """Parse a call's arguments and check them against the tool's schema; nothing is repaired."""
        return self.schemas.judge(name, arguments)


def tool_set(tools: list[dict[str, Any]] | None) -> ToolSet:
    """The tool set of a request's `tools`; the same definitions give the same set again."""
    return _known_set(encode_json(tools or []))


@lru_cache(maxsize=32)
def _known_set(tools: bytes) -> ToolSet:
    return ToolSet(json.loads(tools))


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
