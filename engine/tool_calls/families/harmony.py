"""gpt-oss ("harmony"): a message to a function, on its own channel.

<|channel|>commentary to=functions.Read <|constrain|>json<|message|>{"file_path": "/a"}<|call|>

The recipient may also come before the channel: ` to=functions.Read<|channel|>commentary json`.
`<|call|>` is usually an end-of-answer token and may be missing; a call ends with its arguments.
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

_TO = " to=functions."
_COMMENTARY, _ANALYSIS = "<|channel|>commentary", "<|channel|>analysis"
_SYNTAX = JsonSyntax(
    header=regex.compile(
        r"(?P<name>[^\s<>|]{1,256})\s*(?:<\|channel\|>(?:commentary|analysis))?"
        r"\s*(?:<\|constrain\|>)?\s*(?:json|code)?\s*<\|message\|>\s*"
    ),
    tail=regex.compile(r"\s*<\|(?:call|end)\|>"),
    end_marks=("<|call|>", "<|end|>"),
    tail_may_miss=True,
)


class Harmony:
    name = "harmony"
    openings = (_COMMENTARY + _TO, _ANALYSIS + _TO, _TO)
    thinking: tuple[str, str] | None = (f"{_ANALYSIS}<|message|>", "<|end|>")
    layout: tuple[str, ...] = (
        "<|start|>assistant",
        "<|channel|>final<|message|>",
        f"{_COMMENTARY}<|message|>",
        "<|end|>",
        "<|call|>",
        "<|return|>",
    )
    bare_openings: tuple[str, ...] = ()

    def writes(self, template: str) -> bool:
        return "<|channel|>" in template and "functions." in template

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return JsonCallReader((_SYNTAX,), opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        named = [f"{literal(tool.name)} harmony_format {arguments(tool)}" for tool in tools]
        return "\n".join(
            [
                # The end mark is optional: an engine takes it for the end of the answer.
                f"calls: harmony_named ({literal('<|call|>')})?",
                "harmony_named: " + "\n  | ".join(named),
                f"harmony_format: ({literal(_COMMENTARY)})? "
                f"({literal(' <|constrain|>json')} | {literal('<|constrain|>json')} | {literal(' json')} | "
                f"{literal(' code')})? {literal('<|message|>')}",
            ]
        )

    def unconstrained(self, tool: ToolSchema) -> str:
        return json_unconstrained(tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        return "<|start|>assistant".join(
            f"{_COMMENTARY}{_TO}{name} <|constrain|>json<|message|>"
            f"{json.dumps(arguments, ensure_ascii=False)}<|call|>"
            for name, arguments in calls
        )
