"""Mistral: a mark, then the tool's name and its arguments, or a list of calls.

Since 2025 each call has its own mark, and no end mark:

[TOOL_CALLS]Read[ARGS]{"file_path": "/a"}[TOOL_CALLS]Glob[ARGS]{"pattern": "*"}

Some of these models write `[CALL_ID]` and an id before `[ARGS]`. Earlier models write

[TOOL_CALLS][{"name": "Read", "arguments": {"file_path": "/a"}, "id": "abc123def"}]

Each reads both formats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from engine.tool_calls.reading.family import ArgumentsRule, CallReader
from engine.tool_calls.reading.json_calls import JsonCallReader, JsonSyntax, json_unconstrained
from engine.tool_calls.schemas.lark_text import literal
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

_OPENING, _ARGUMENTS = "[TOOL_CALLS]", "[ARGS]"
_BEFORE, _BETWEEN = '{"name": ', ', "arguments": '

_NAME = r"(?P<name>[^\s\[\]{}\"]{1,256})"
_HEADER = _NAME + r"\s*(?:\[CALL_ID\][^\s\[\]{}\"]{1,64})?\[ARGS\]\s*"
_MARKED = JsonSyntax(
    header=regex.compile(r"\s*" + _HEADER),
    tail=regex.compile(""),
    more=regex.compile(rf"\s*(?={_HEADER}\{{)"),
)
_LISTED = JsonSyntax(
    header=regex.compile(r'\s*\[?\s*\{\s*"name"\s*:\s*"(?P<name>[^"\\]+)"\s*,\s*"arguments"\s*:\s*'),
    tail=regex.compile(r'\s*(?:,\s*"id"\s*:\s*"[^"\\]*"\s*)?\}'),
    more=regex.compile(r"\s*,"),
    end=regex.compile(r"\s*\]"),
)


@dataclass(frozen=True, slots=True)
class Mistral:
    """`listed`: the early format, else that since 2025."""

    name: str
    listed: bool
    openings: tuple[str, ...] = (_OPENING,)
    thinking: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()
    bare_openings: tuple[str, ...] = ()

    def writes(self, template: str) -> bool:
        return _OPENING in template and (_ARGUMENTS not in template) == self.listed

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return JsonCallReader((_MARKED, _LISTED), opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        if not self.listed:
            named = [f"{literal(tool.name + _ARGUMENTS)} {arguments(tool)}" for tool in tools]
            return "calls: " + "\n  | ".join(named)
        named = [f"{literal(json.dumps(tool.name) + _BETWEEN)} {arguments(tool)}" for tool in tools]
        return "\n".join(
            [
                'calls: /\\s?\\[/ mistral_call ("," MISTRAL_SPACE? mistral_call)* "]"',
                "MISTRAL_SPACE: /[ \\n]{1,4}/",
                f"mistral_call: {literal(_BEFORE)} mistral_named mistral_id? {literal('}')}",
                f'mistral_id: {literal(", " + json.dumps("id") + ": ")} /"[a-zA-Z0-9]{{9}}"/',
                "mistral_named: " + "\n  | ".join(named),
            ]
        )

    def unconstrained(self, tool: ToolSchema) -> str:
        return json_unconstrained(tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        written = [(name, json.dumps(arguments, ensure_ascii=False)) for name, arguments in calls]
        if not self.listed:
            return "".join(f"{_OPENING}{name}{_ARGUMENTS}{arguments}" for name, arguments in written)
        listed = [f"{_BEFORE}{json.dumps(name)}{_BETWEEN}{arguments}}}" for name, arguments in written]
        return f"{_OPENING}[{', '.join(listed)}]"
