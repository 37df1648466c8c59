"""Qwen3-Coder and later models: a function tag around parameter tags, without escapes.

<tool_call>
<function=Write>
<parameter=file_path>
/a
</parameter>
<parameter=content>
one line
</parameter>
</function>
</tool_call>

These models often omit the first line, so `<function=` opens a call too. One line break at either end of a
value is layout. `engine.tool_calls.schemas.argument_texts` gives the values' types,
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

_OPENING, _BARE_OPENING = "<tool_call>", "<function="


def _syntax(opening: str) -> TaggedSyntax:
    return TaggedSyntax(
        openings=(_OPENING, _BARE_OPENING),
        header=r"(?:<function=)?(?P<name>[^<>\s]{1,256})>",
        parameter=r"<parameter=(?P<key>[^<>\n]{1,256})>",
        close="</parameter>",
        call_end="</function>",
        section_end="</tool_call>",
        newlines=True,
        section_may_stay_open=opening == _BARE_OPENING,
    )


_PATTERNS = {opening: TaggedPatterns(_syntax(opening)) for opening in (_OPENING, _BARE_OPENING)}
_LAYOUT = TaggedLayout(
    letters="qwen3_coder",
    header_end=">\n",
    open="<parameter=",
    key_end=">\n",
    close="\n</parameter>\n",
    call_end="</function>\n",
    section_end="</tool_call>",
)


class Qwen3Coder:
    name = "qwen3_coder"
    openings = (_OPENING, _BARE_OPENING)
    thinking: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()
    bare_openings: tuple[str, ...] = (_BARE_OPENING,)

    def writes(self, template: str) -> bool:
        return _OPENING in template and _BARE_OPENING in template

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return TaggedCallReader(_PATTERNS[opening], opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        # Both opening marks are possible; after `<function=` the name follows at once.
        calls = "calls: /[ \\t\\n]{0,4}<function=/ qwen3_coder | qwen3_coder"
        return calls + "\n" + tagged_rules(_LAYOUT, _syntax(_OPENING), tools, arguments)

    def unconstrained(self, tool: ToolSchema) -> str:
        return tagged_unconstrained(tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        return "\n".join(self._call(name, arguments) for name, arguments in calls)

    def _call(self, name: str, arguments: Mapping[str, Any]) -> str:
        parameters = "".join(
            f"<parameter={key}>\n{argument_text(value)}\n</parameter>\n" for key, value in arguments.items()
        )
        return f"<tool_call>\n<function={name}>\n{parameters}</function>\n</tool_call>"
