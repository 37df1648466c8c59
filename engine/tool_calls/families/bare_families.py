"""The families that write calls without any mark, as the whole answer.

pythonic     [Read(file_path="/a", limit=5), Glob(pattern="*")]   Llama 3.2 and others, by prompt
xlam         [{"name": "Read", "arguments": {…}}]         or behind `[TOOL_CALLS]` or `<tool_call>`
glm4         Read\\n{"file_path": "/a"}                                      GLM-4 9B and 32B
functionary  Read\\n{"file_path": "/a"}>>>Glob\\n{"pattern": "*"}             3.2

Without marks, a call stands at the beginning of an answer: there a name with what follows it shows one, and a
grammar begins. Behind a mark that xlam writes too, a grammar begins at the mark. Its list of objects without
one is also what an answer in JSON looks like, so nothing constrains it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.tool_calls.families.json_format import Either, Json, JsonCall, JsonFormat, Varying, json_object
from engine.tool_calls.families.notation_format import PythonicFormat
from engine.tool_calls.reading.family import ArgumentsRule, Bare, CallReader
from engine.tool_calls.schemas.pattern_source import escaped, pattern
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas


@dataclass(frozen=True, slots=True)
class BareFormat:
    """A family; `form` are its calls without a mark, and `openings` are marks that some answers have."""

    bare: Bare
    form: JsonFormat | PythonicFormat
    openings: tuple[str, ...] = ()
    thinking: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()
    bare_openings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.form.name

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        if not self.openings:
            raise ValueError(f"{self.name} has no opening marks")
        return self.form.reader(opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        """Without marks, `calls` is from the beginning of a call; see `Family.grammar`.

        `begun NOT_CALLED` is a text that only begins like one, and `NOT_BEGUN` one that does not.
        """
        if self.openings:
            return self.form.grammar(tools, arguments)
        if isinstance(self.form, PythonicFormat):
            first, header_end, call = r"\[[ \t]{0,8}\n?[ \t]{0,8}", r"\(", r"(?:[A-Za-z_]\w*\s*=|\))"
            rules = self.form.grammar(tools, arguments).replace("calls:", "python_list:", 1)
            # An empty line would end it, as it ends calls that are never closed.
            rest, behind = "python_call", '(/,[ \\t]{0,8}\\n?[ \\t]{0,8}/ python)* "]"'
        else:
            first, header_end, call = "(?:>>>)?", r"[ \t]{0,8}\n", r"\{"
            rules = "\n".join(f"named_call_{place}: {arguments(tool)}" for place, tool in enumerate(tools))
            rest, behind = "named_call", ""
        headers = [first + escaped(tool.name) + header_end for tool in tools]
        call = pattern(rf"\s*{call}(?s:.*)")
        begun = pattern(rf"[\s;,]*(?:{'|'.join(headers)})(?s:.*)")
        lines = [f"begun_{place}[lazy]: {pattern(header)}" for place, header in enumerate(headers)]
        calls = " | ".join(f"begun_{place} {rest}_{place}" for place in range(len(tools)))
        return "\n".join(
            [
                f"calls: ({calls}) {behind}".strip(),
                f"begun: {' | '.join(f'begun_{place}' for place in range(len(tools)))}",
                f"NOT_CALLED: /(?s:.*)/ & ~{call}",
                f"NOT_BEGUN: /(\\S(?s:.*))?/ & ~{begun}",
                *lines,
                rules,
            ]
        )

    def unconstrained(self, tool: ToolSchema) -> str:
        return "a call without a mark" if self.openings else self.form.unconstrained(tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        return self.form.write(calls, tools)


_LISTED = JsonCall(json_object(), (Json("["),), (Json(", "),), (Json("]"),))


def _named(name: str, between: str) -> BareFormat:
    parts = (Varying.NAME, Either(("\n",)), Varying.ARGUMENTS)
    return BareFormat("named", JsonFormat(name, ("",), (JsonCall(parts, between=(Either((between,)),)),)))


BARE_FAMILIES: tuple[BareFormat, ...] = (
    BareFormat("python", PythonicFormat("pythonic", ("",), "[", ", ", "]")),
    BareFormat(
        "json",
        JsonFormat("xlam", ("",), (_LISTED,)),
        ("[TOOL_CALLS]", "<tool_call>"),
        layout=("</tool_call>",),
    ),
    _named("glm4", "\n"),
    _named("functionary", ">>>"),
)
