"""GLM 4.5, 4.6 and 4.7: the tool's name, then a pair of tags for each argument's key and value.

<tool_call>Write
<arg_key>file_path</arg_key>
<arg_value>/a</arg_value>
</tool_call>

4.7 writes no line breaks. A value is the exact text between its tags.
`engine.tool_calls.schemas.argument_texts` gives the types, `engine.tool_calls.reading.tagged_calls` says what
is ambiguous.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.tool_calls.reading.family import ArgumentsRule, CallReader
from engine.tool_calls.reading.tagged_calls import SPACE, TaggedCallReader, TaggedPatterns, TaggedSyntax
from engine.tool_calls.reading.tagged_grammar import TaggedLayout, tagged_rules, tagged_unconstrained
from engine.tool_calls.schemas.argument_texts import argument_text
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

_OPENING = "<tool_call>"
_SYNTAX = TaggedSyntax(
    openings=(_OPENING,),
    # Any word could be a name: the text behind it decides.
    header=rf"(?P<name>[^<>{{}}\s]{{1,256}})(?={SPACE}(?:<arg_key>|</tool_call>))",
    parameter=rf"<arg_key>{SPACE}(?P<key>[^<>\n]{{1,256}}?){SPACE}</arg_key>{SPACE}<arg_value>",
    close="</arg_value>",
    call_end="",
    section_end="</tool_call>",
)
_PATTERNS = TaggedPatterns(_SYNTAX)
_LAYOUT = TaggedLayout(
    letters="glm",
    header_end="\n",
    open="<arg_key>",
    key_end="</arg_key>\n<arg_value>",
    close="</arg_value>\n",
    call_end="",
    section_end="</tool_call>",
    loose=True,
)


class Glm:
    name = "glm"
    openings = (_OPENING,)
    thinking: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()
    bare_openings: tuple[str, ...] = ()

    def writes(self, template: str) -> bool:
        return "<arg_key>" in template

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return TaggedCallReader(_PATTERNS, opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        return "calls: glm\n" + tagged_rules(_LAYOUT, _SYNTAX, tools, arguments)

    def unconstrained(self, tool: ToolSchema) -> str:
        return tagged_unconstrained(tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        return "\n".join(self._call(name, arguments) for name, arguments in calls)

    def _call(self, name: str, arguments: Mapping[str, Any]) -> str:
        pairs = "".join(
            f"<arg_key>{key}</arg_key>\n<arg_value>{argument_text(value)}</arg_value>\n"
            for key, value in arguments.items()
        )
        return f"{_OPENING}{name}\n{pairs}</tool_call>"
