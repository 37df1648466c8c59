"""DeepSeek V3.2 and later: one section for all calls of an answer, in tags with a special mark.

<｜DSML｜function_calls>
<｜DSML｜invoke name="Write">
<｜DSML｜parameter name="file_path" string="true">/a</｜DSML｜parameter>
<｜DSML｜parameter name="mode" string="false">420</｜DSML｜parameter>
</｜DSML｜invoke>
</｜DSML｜function_calls>

The tags mark string values; the others are JSON. In V4 the section is named `tool_calls`.
`engine.tool_calls.reading.tagged_calls` says what is ambiguous.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.tool_calls.reading.family import ArgumentsRule, CallReader
from engine.tool_calls.reading.tagged_calls import TaggedCallReader, TaggedPatterns, TaggedSyntax
from engine.tool_calls.reading.tagged_grammar import TaggedLayout, tagged_rules, tagged_unconstrained
from engine.tool_calls.schemas.argument_texts import argument_text
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

_MARK = "｜DSML｜"
_INVOKE, _PARAMETER = f'<{_MARK}invoke name="', f'<{_MARK}parameter name="'
_SECTIONS = ("function_calls", "tool_calls")


def _opening(section: str) -> str:
    return f"<{_MARK}{section}>"


def _syntax(section: str) -> TaggedSyntax:
    return TaggedSyntax(
        openings=(_opening(section),),
        header=_INVOKE + r'(?P<name>[^"<>\n]{1,256})">',
        parameter=_PARAMETER + r'(?P<key>[^"<>\n]{1,256})" string="(?P<string>true|false)">',
        close=f"</{_MARK}parameter>",
        call_end=f"</{_MARK}invoke>",
        section_end=f"</{_MARK}{section}>",
        next_call=_INVOKE,
    )


_PATTERNS = {_opening(section): TaggedPatterns(_syntax(section)) for section in _SECTIONS}


@dataclass(frozen=True, slots=True)
class DeepSeekDsml:
    """`section` is the name of the section in this version."""

    name: str
    section: str
    thinking: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()
    bare_openings: tuple[str, ...] = ()

    @property
    def openings(self) -> tuple[str, ...]:
        return (_opening(self.section),)

    def writes(self, template: str) -> bool:
        # Templates build the mark from a variable: `'<' + dsml + 'invoke name="'`.
        return _MARK in template and f"{self.section}>" in template

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return TaggedCallReader(_PATTERNS[opening], opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        syntax = _syntax(self.section)
        layout = TaggedLayout(
            letters="dsml",
            header_end='">\n',
            open=_PARAMETER,
            key_end="",
            close=f"{syntax.close}\n",
            call_end=f"{syntax.call_end}\n",
            section_end=syntax.section_end,
            next_call=_INVOKE,
            typed_key_ends=('" string="true">', '" string="false">'),
        )
        return f"calls: {json.dumps(chr(10) + _INVOKE, ensure_ascii=False)} dsml\n" + tagged_rules(
            layout, syntax, tools, arguments
        )

    def unconstrained(self, tool: ToolSchema) -> str:
        return tagged_unconstrained(tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        invokes = [self._invoke(name, arguments) for name, arguments in calls]
        return "\n".join([_opening(self.section), *invokes, f"</{_MARK}{self.section}>"])

    def _invoke(self, name: str, arguments: Mapping[str, Any]) -> str:
        parameters = "".join(
            f'{_PARAMETER}{key}" string="{"true" if isinstance(value, str) else "false"}">'
            f"{argument_text(value)}</{_MARK}parameter>\n"
            for key, value in arguments.items()
        )
        return f'{_INVOKE}{name}">\n{parameters}</{_MARK}invoke>'
