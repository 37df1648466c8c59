"""Hermes and Qwen: `<tool_call>` around a JSON object with the tool's name and its arguments.

<tool_call>
{"name": "Read", "arguments": {"file_path": "/a"}}
</tool_call>
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import regex

from engine.tool_calls.reading.family import ArgumentsRule, CallReader
from engine.tool_calls.reading.json_calls import JsonCallReader, JsonSyntax, json_unconstrained
from engine.tool_calls.schemas.lark_text import literal
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

OPENING, END = "<tool_call>", "</tool_call>"

_SYNTAX = JsonSyntax(
    header=regex.compile(r'\s*\{\s*"name"\s*:\s*"(?P<name>[^"\\]+)"\s*,\s*"arguments"\s*:\s*'),
    tail=regex.compile(r"\s*\}\s*" + END),
    end_marks=(END,),
)


_BEGIN, _BETWEEN, _CLOSE = (literal(text) for text in ('{"name": ', ', "arguments": ', "}"))


class Hermes:
    name = "hermes"
    openings = (OPENING,)
    thinking: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()
    bare_openings: tuple[str, ...] = ()

    def writes(self, template: str) -> bool:
        return OPENING in template and ('"arguments"' in template or "tool_call.name" in template)

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return JsonCallReader((_SYNTAX,), opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        named = [
            f"{literal(json.dumps(tool.name, ensure_ascii=False))} {_BETWEEN} {arguments(tool)}"
            for tool in tools
        ]
        return "\n".join(
            [
                f"calls: HERMES_SPACE? {_BEGIN} hermes_call {_CLOSE} HERMES_SPACE? {literal(END)}",
                "HERMES_SPACE: /[ \\t\\n]{1,4}/",
                "hermes_call: " + "\n  | ".join(named),
            ]
        )

    def unconstrained(self, tool: ToolSchema) -> str:
        return json_unconstrained(tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        return "\n".join(
            f'{OPENING}\n{{"name": {json.dumps(name)}, "arguments": '
            f"{json.dumps(arguments, ensure_ascii=False)}}}\n{END}"
            for name, arguments in calls
        )
