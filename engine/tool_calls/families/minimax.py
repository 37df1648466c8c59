"""MiniMax M2: one section for all calls of an answer, an invoke tag for each.

<minimax:tool_call>
<invoke name="Write">
<parameter name="file_path">/a</parameter>
</invoke>
</minimax:tool_call>

A value is the exact text between its tags. `engine.tool_calls.schemas.argument_texts` gives their types,
`engine.tool_calls.reading.tagged_calls` says what is ambiguous.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.tool_calls.reading.family import ArgumentsRule, CallReader
from engine.tool_calls.reading.tagged_calls import TaggedCallReader, TaggedPatterns, TaggedSyntax
from engine.tool_calls.reading.tagged_grammar import TaggedLayout, tagged_rules, tagged_unconstrained
from engine.tool_calls.schemas.argument_texts import argument_text
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

_OPENING, _END = "<minimax:tool_call>", "</minimax:tool_call>"
_SYNTAX = TaggedSyntax(
    openings=(_OPENING,),
    header=r'<invoke name="(?P<name>[^"<>\n]{1,256})">',
    parameter=r'<parameter name="(?P<key>[^"<>\n]{1,256})">',
    close="</parameter>",
    call_end="</invoke>",
    section_end=_END,
    next_call='<invoke name="',
)
_PATTERNS = TaggedPatterns(_SYNTAX)
_LAYOUT = TaggedLayout(
    letters="minimax",
    header_end='">\n',
    open='<parameter name="',
    key_end='">',
    close="</parameter>\n",
    call_end="</invoke>\n",
    section_end=_END,
    next_call='<invoke name="',
)


class MiniMax:
    name = "minimax"
    openings = (_OPENING,)
    thinking: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()
    bare_openings: tuple[str, ...] = ()

    def writes(self, template: str) -> bool:
        return _OPENING in template

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return TaggedCallReader(_PATTERNS, opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        return 'calls: "\\n<invoke name=\\"" minimax\n' + tagged_rules(_LAYOUT, _SYNTAX, tools, arguments)

    def unconstrained(self, tool: ToolSchema) -> str:
        return tagged_unconstrained(tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        return "\n".join([_OPENING, *(self._invoke(name, arguments) for name, arguments in calls), _END])

    def _invoke(self, name: str, arguments: Mapping[str, Any]) -> str:
        parameters = "".join(
            f'<parameter name="{key}">{argument_text(value)}</parameter>\n'
            for key, value in arguments.items()
        )
        return f'<invoke name="{name}">\n{parameters}</invoke>'
