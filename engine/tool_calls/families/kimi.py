"""Kimi K2: a section of calls between marks, each with an id made of the tool's name and a number.

<|tool_calls_section_begin|><|tool_call_begin|>functions.Read:0<|tool_call_argument_begin|>{"file_path": "/a"}
<|tool_call_end|><|tool_calls_section_end|>

Everything is on one line. Some answers omit `functions.`, or spell the section's marks with `tool_call`.
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

_OPENING, _END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
_SINGULAR = "<|tool_call_section_begin|>"
_CALL, _ARGUMENTS, _CALL_END = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"

_SYNTAX = JsonSyntax(
    header=regex.compile(
        rf"\s*{regex.escape(_CALL)}\s*(?:functions\.)?(?P<name>[^\s<>|:]+):\d+\s*{regex.escape(_ARGUMENTS)}\s*"
    ),
    tail=regex.compile(rf"\s*{regex.escape(_CALL_END)}"),
    more=regex.compile(rf"\s*(?={regex.escape(_CALL)})"),
    end=regex.compile(r"\s*<\|tool_calls?_section_end\|>"),
    end_marks=(_CALL_END,),
)


class Kimi:
    name = "kimi"
    openings = (_OPENING, _SINGULAR)
    thinking: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()
    bare_openings: tuple[str, ...] = ()

    def writes(self, template: str) -> bool:
        return _OPENING in template

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return JsonCallReader((_SYNTAX,), opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        named = [f"{literal(tool.name)} kimi_number {arguments(tool)}" for tool in tools]
        return "\n".join(
            [
                f"calls: kimi_call+ {literal(_END)}",
                f"kimi_call: {literal(_CALL + 'functions.')} kimi_named {literal(_CALL_END)}",
                f'kimi_number: ":" /[0-9]{{1,3}}/ {literal(_ARGUMENTS)}',
                "kimi_named: " + "\n  | ".join(named),
            ]
        )

    def unconstrained(self, tool: ToolSchema) -> str:
        return json_unconstrained(tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        written = "".join(
            f"{_CALL}functions.{name}:{number}"
            f"{_ARGUMENTS}{json.dumps(arguments, ensure_ascii=False)}{_CALL_END}"
            for number, (name, arguments) in enumerate(calls)
        )
        return f"{_OPENING}{written}{_END}"
