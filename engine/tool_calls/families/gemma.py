"""Gemma: calls in a notation like JSON, with unquoted keys and strings between special marks.

FunctionGemma: <start_function_call>call:Write{file_path:<escape>/a<escape>}<end_function_call>
Gemma 4:       <|tool_call>call:Write{file_path:<|"|>/a<|"|>}<tool_call|>

`engine.tool_calls.reading.gemma_calls` says what is ambiguous.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.tool_calls.reading.family import ArgumentsRule, CallReader
from engine.tool_calls.reading.gemma_calls import GemmaCallReader, GemmaMarks
from engine.tool_calls.reading.gemma_grammar import gemma_rules, gemma_text, gemma_unconstrained
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas


@dataclass(frozen=True, slots=True)
class Gemma:
    """One of the two formats, by its marks."""

    name: str
    marks: GemmaMarks
    layout: tuple[str, ...]
    thinking: tuple[str, str] | None = None
    bare_openings: tuple[str, ...] = ()

    @property
    def openings(self) -> tuple[str, ...]:
        return (self.marks.opening,)

    def writes(self, template: str) -> bool:
        return self.marks.opening in template

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return GemmaCallReader(self.marks, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        return 'calls: "call:" gemma\n' + gemma_rules(self.marks.end, self.marks.quote, tools, arguments)

    def unconstrained(self, tool: ToolSchema) -> str:
        return gemma_unconstrained(self.marks.quote, tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        return "".join(
            f"{self.marks.opening}call:{name}{gemma_text(arguments, self.marks.quote)}{self.marks.end}"
            for name, arguments in calls
        )


# After its calls Gemma opens the results, unless a server stops it.
FUNCTION_GEMMA = Gemma(
    "function_gemma",
    GemmaMarks("<start_function_call>", "<end_function_call>", "<escape>"),
    layout=("<start_function_response>",),
)
GEMMA_4 = Gemma("gemma4", GemmaMarks("<|tool_call>", "<tool_call|>", '<|"|>'), layout=("<|tool_response>",))
