"""The families that write calls without any mark, as the whole answer.

pythonic     [Read(file_path="/a", limit=5), Glob(pattern="*")]   Llama 3.2 and others, by prompt
xlam         [{"name": "Read", "arguments": {…}}]         or behind `[TOOL_CALLS]` or `<tool_call>`
glm4         Read\\n{"file_path": "/a"}                                      GLM-4 9B and 32B
functionary  Read\\n{"file_path": "/a"}>>>Glob\\n{"pattern": "*"}             3.2

No grammar constrains such a call: what the answer begins with is text until it is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.tool_calls.families.json_format import Json, JsonCall, JsonFormat, json_object
from engine.tool_calls.families.notation_format import python_value
from engine.tool_calls.reading.family import ArgumentsRule, Bare, CallReader
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas


@dataclass(frozen=True, slots=True)
class BareFormat:
    """A family; calls are joined by `between`. `marked`: the form behind marks that some answers have."""

    name: str
    bare: Bare
    between: str
    marked: JsonFormat | None = None
    thinking: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()
    bare_openings: tuple[str, ...] = ()

    @property
    def openings(self) -> tuple[str, ...]:
        return self.marked.openings if self.marked is not None else ()

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return self._with_marks().reader(opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        return self._with_marks().grammar(tools, arguments)

    def _with_marks(self) -> JsonFormat:
        if self.marked is None:
            raise ValueError(f"{self.name} has no opening marks")
        return self.marked

    def unconstrained(self, tool: ToolSchema) -> str:
        return "a call without a mark"

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        written = self.between.join(self._call(name, arguments) for name, arguments in calls)
        return written if self.bare == "named" else f"[{written}]"

    def _call(self, name: str, arguments: Mapping[str, Any]) -> str:
        if self.bare == "python":
            return f"{name}({', '.join(f'{key}={python_value(value)}' for key, value in arguments.items())})"
        text = json.dumps(arguments, ensure_ascii=False)
        if self.bare == "named":
            return f"{name}\n{text}"
        return f'{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": {text}}}'


_XLAM = JsonFormat(
    "xlam",
    ("[TOOL_CALLS]", "<tool_call>"),
    (JsonCall(json_object(), (Json("["),), (Json(", "),), (Json("]"),)),),
)

BARE_FAMILIES: tuple[BareFormat, ...] = (
    BareFormat("pythonic", "python", ", "),
    BareFormat("xlam", "json", ", ", _XLAM, layout=("</tool_call>",)),
    BareFormat("glm4", "named", "\n"),
    BareFormat("functionary", "named", ">>>"),
)
