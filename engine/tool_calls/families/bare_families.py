"""The families that write calls without any mark, as the whole answer.

pythonic     [Read(file_path="/a", limit=5), Glob(pattern="*")]   Llama 3.2 and others, by prompt
xlam         [{"name": "Read", "arguments": {…}}]         or behind `[TOOL_CALLS]` or `<tool_call>`
glm4         Read\\n{"file_path": "/a"}                                      GLM-4 9B and 32B
functionary  Read\\n{"file_path": "/a"}>>>Glob\\n{"pattern": "*"}             3.2; words behind `all`

Without marks, a call stands at the beginning of an answer: there a name with the beginning of its arguments
shows one, and a grammar begins (`engine.tool_calls.reading.bare_grammar`). A grammar also begins at a mark
that xlam writes too, and behind words at functionary's mark with a tool's name, which is `later`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.tool_calls.families.json_format import Either, Json, JsonCall, JsonFormat, Varying, json_object
from engine.tool_calls.families.notation_format import PythonicFormat
from engine.tool_calls.reading.bare_grammar import BareHead, bare_rules, without_beginning
from engine.tool_calls.reading.family import ArgumentsRule, Bare, CallReader
from engine.tool_calls.schemas.lark_text import choice, literal
from engine.tool_calls.schemas.pattern_source import escaped
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
    head: str = ""

    @property
    def name(self) -> str:
        return self.form.name

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        if not self.openings:
            raise ValueError(f"{self.name} has no opening marks")
        if self.bare == "named" and isinstance(self.form, JsonFormat):
            named = opening.removeprefix(self.openings[0].partition("$tool")[0])
            return self.form.reader_from_name(opening.removesuffix(named), named, tools)
        return self.form.reader(opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        rules = self.form.grammar(tools, arguments)
        if self.bare == "named":
            heads = [
                BareHead("(?:>>>)?" + escaped(tool.name) + r"[ \t]{0,8}\n", arguments(tool)) for tool in tools
            ]
            lines = bare_rules(heads, without_beginning(r"\s*\{"))
            for place, tool in enumerate(tools if self.openings else ()):
                mark = literal(self.openings[0].replace("$tool", tool.name))
                lines.append(f"later_{place}[lazy]: LATER {mark}")
            if self.openings:
                later = [f"later_{place} {arguments(tool)}" for place, tool in enumerate(tools)]
                lines.append(f"later: {choice(later)}")
            rules = "\n".join(lines)
        return rules

    def unconstrained(self, tool: ToolSchema) -> str:
        return self.form.unconstrained(tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        return self.form.write(calls, tools)


_LISTED = JsonCall(json_object(), (Json("["),), (Json(", "),), (Json("]"),))


def _named(name: str, between: str, **rest: Any) -> BareFormat:
    parts = (Varying.NAME, Either(("\n",)), Varying.ARGUMENTS)
    call = JsonCall(parts, between=(Either((between,)),))
    return BareFormat("named", JsonFormat(name, ("",), (call,)), **rest)


BARE_FAMILIES: tuple[BareFormat, ...] = (
    BareFormat("python", PythonicFormat("pythonic", ("",), "[", ", ", "]", bare="python")),
    BareFormat(
        "json",
        JsonFormat("xlam", ("",), (_LISTED,), bare="json"),
        ("[TOOL_CALLS]", "<tool_call>"),
        layout=("</tool_call>",),
    ),
    _named("glm4", "\n"),
    _named("functionary", ">>>", openings=(">>>$tool\n",), layout=(">>>all\n",), head="all\n"),
)
