"""DeepSeek V3, R1 and V3.1: calls with JSON arguments, in a section between marks.

V3 and R1 write the arguments in a code fence, behind the type of the call:

<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>Read
```json
{"file_path": "/a"}
```<｜tool▁call▁end｜><｜tool▁calls▁end｜>

V3.1 writes everything on one line:

<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>Read<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>

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

_OPENING, _END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_CALL, _SEPARATOR, _CALL_END = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"

_NAME = r"(?P<name>[^\s<>｜`]+)"
_SYNTAX = JsonSyntax(
    header=regex.compile(
        rf"\s*{_CALL}(?:function{_SEPARATOR}{_NAME}\s*```json\s*|{_NAME}{_SEPARATOR}\s*(?:```json\s*)?(?=\{{))"
    ),
    tail=regex.compile(rf"\s*(?:```\s*)?{_CALL_END}"),
    more=regex.compile(rf"\s*(?={_CALL})"),
    end=regex.compile(rf"\s*{_END}"),
    end_marks=(_CALL_END,),
)


@dataclass(frozen=True, slots=True)
class DeepSeek:
    """`fenced`: the format of V3 and R1, else that of V3.1."""

    name: str
    fenced: bool
    openings: tuple[str, ...] = (_OPENING,)
    thinking: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()
    bare_openings: tuple[str, ...] = ()

    def writes(self, template: str) -> bool:
        return _CALL in template and ("```json" in template) == self.fenced

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return JsonCallReader((_SYNTAX,), opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        before, behind, between = self._around()
        named = [f"{literal(tool.name + behind[0])} {arguments(tool)}" for tool in tools]
        return "\n".join(
            [
                f"calls: deepseek_call ({literal(between)} deepseek_call)* {literal(_END)}"
                if between
                else f"calls: deepseek_call+ {literal(_END)}",
                f"deepseek_call: {literal(before)} deepseek_named {literal(behind[1])}",
                "deepseek_named: " + "\n  | ".join(named),
            ]
        )

    def unconstrained(self, tool: ToolSchema) -> str:
        return json_unconstrained(tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        before, behind, between = self._around()
        written = between.join(
            f"{before}{name}{behind[0]}{json.dumps(arguments, ensure_ascii=False)}{behind[1]}"
            for name, arguments in calls
        )
        return f"{_OPENING}{written}{_END}"

    def _around(self) -> tuple[str, tuple[str, str], str]:
        """The texts before a name, behind the name and behind the arguments, and between calls."""
        if self.fenced:
            return f"{_CALL}function{_SEPARATOR}", ("\n```json\n", f"\n```{_CALL_END}"), "\n"
        return _CALL, (_SEPARATOR, _CALL_END), ""
