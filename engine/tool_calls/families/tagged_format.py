"""Calls whose arguments are bare text between tags: a family is its tags, as models write them.

From such a description follow the reader, the grammar and the written form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import regex

from engine.tool_calls.reading.family import ArgumentsRule, Bare, CallReader
from engine.tool_calls.reading.nested_tags import ITEM, nested_text
from engine.tool_calls.reading.notation_grammar import Notation, NotationValues, notation_unconstrained
from engine.tool_calls.reading.tagged_calls import SPACE, TaggedCallReader, TaggedSyntax
from engine.tool_calls.reading.tagged_grammar import (
    TaggedLayout,
    marks_text,
    tagged_rules,
    tagged_unconstrained,
)
from engine.tool_calls.schemas.argument_texts import argument_text
from engine.tool_calls.schemas.lark_text import text_pattern
from engine.tool_calls.schemas.pattern_source import escaped, pattern
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas, json_type


@dataclass(frozen=True, slots=True)
class TaggedFormat:
    """A family.

    A section is an opening mark and calls up to `section_end`. A call is `before_name`, the tool's name,
    `behind_name`, arguments and `call_end`; an argument is `before_key`, its name, `behind_key`, its value
    and `close`. Of these, `$number` is the call's number, `$type` the word that `types` has for the value's
    JSON type, `$key` in `close` the argument's name.

    `several`: a section has all calls of an answer, else one. `runs_on`: it may have more than the one that
    is written. `joined` stands between sections. `opens_alone`: an opening mark in place of `before_name`;
    `call_end` then ends its section too. `newlines`: one line break at either end of a value is layout.
    `loose`: line breaks between tags may be missing. `wrap`: marks that values may stand between. `nested`:
    the mark before each tag, where lists and objects are tags as well. `paired_newlines`: a line break at
    both ends of a value is layout.
    `json_bodies`: some models write one JSON object for all arguments, or end a call in its first tag.
    """

    name: str
    openings: tuple[str, ...]
    before_name: str
    behind_name: str
    before_key: str
    behind_key: str
    close: str
    call_end: str
    section_end: str
    several: bool = False
    runs_on: bool = False
    joined: str = "\n"
    opens_alone: str = ""
    newlines: bool = False
    loose: bool = False
    types: Mapping[str, str] = field(default_factory=dict, hash=False)
    wrap: tuple[str, str] = ("", "")
    nested: str = ""
    paired_newlines: bool = False
    json_bodies: bool = False
    thinking: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()
    bare_openings: tuple[str, ...] = ()
    bare: Bare = ""
    head: str = ""

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return TaggedCallReader(_syntax(self, opening), opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        layout, syntax = self._layout(), _syntax(self, self.openings[0])
        calls = f"{marks_text(self.before_name, layout.loose)} {self.name}".strip()
        if self.nested:
            values = NotationValues(_nested(self), arguments)
            rules = tagged_rules(layout, syntax, tools, arguments, values.value)
            return "\n".join([f"calls: {calls}", rules, *values.lines])
        if self.opens_alone:
            # Behind that mark the name follows at once.
            calls = f"/[ \\t\\n]{{0,4}}{self.before_name.strip()}/ {self.name} | {self.name}"
        return f"calls: {calls}\n" + tagged_rules(layout, syntax, tools, arguments)

    def unconstrained(self, tool: ToolSchema) -> str:
        return notation_unconstrained(_nested(self), tool) if self.nested else tagged_unconstrained(tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        written = [self._call(number, *call) for number, call in enumerate(calls, 1)]
        opening, end = self.openings[0], self.section_end
        if self.several:
            return f"{opening}{''.join(written)}{end}"
        return self.joined.join(f"{opening}{call}{end}" for call in written)

    def _call(self, number: int, name: str, arguments: Mapping[str, Any]) -> str:
        pairs = "".join(self._argument(key, value) for key, value in arguments.items())
        begin = (self.before_name + name + self.behind_name).replace("$number", str(number))
        return begin + pairs + self.call_end

    def _argument(self, key: str, value: Any) -> str:
        typed = self.behind_key.replace("$type", self.types.get(json_type(value), ""))
        text = nested_text(value, self.nested) if self.nested else argument_text(value)
        if text.startswith(self.wrap[0]) and self.wrap[0]:
            text = text.join(self.wrap)
        if self.paired_newlines and len(text) > 1 and text[0] == text[-1] == "\n":
            text = f"\n{text}\n"
        return f"{self.before_key}{key}{typed}{text}{self.close.replace('$key', key)}"

    def _layout(self) -> TaggedLayout:
        words = list(dict.fromkeys(self.types.values()))
        return TaggedLayout(
            letters=self.name,
            header_end=self.behind_name,
            open=self.before_key,
            key_end=self.behind_key,
            close=self.close,
            call_end=self.call_end,
            section_end=self.section_end,
            next_call=self.before_name.lstrip() if self.several or self.runs_on else "",
            typed_key_ends=(
                (self.behind_key.replace("$type", self.types["string"]),),
                tuple(
                    self.behind_key.replace("$type", word) for word in words if word != self.types["string"]
                ),
            )
            if self.types
            else None,
            loose=self.loose or bool(self.nested),
        )


def _nested(form: TaggedFormat) -> Notation:
    """Tags within tags: a value ends where a closing tag begins, and the name follows."""
    mark = form.nested
    end = f"{mark}</"

    def string(schema: Mapping[str, Any], lazy: Callable[[str], str]) -> str:
        # Without a tag in it, a text is neither a list nor an object.
        content = pattern(text_pattern(schema) or "(?s:.*)")
        return lazy(f"({content} & ~{pattern(f'(?s:.*){escaped(mark)}<(?s:.*)')}) {pattern(escaped(end))}")

    return Notation(
        "nested",
        key=lambda key, _: f"{form.before_key}{key}{form.behind_key}",
        text=lambda value: nested_text(value, mark) + end,
        string=string,
        is_readable=lambda key, outermost: bool(_TAG_NAME.fullmatch(key)) and (outermost or key != ITEM),
        comma="",
        value_end=end,
        key_end=lambda key: f"{key}>",
        item=(f"{mark}<{ITEM}>", f"{ITEM}>"),
        lists=("", end),
        objects=("", end),
    )


_TAG_NAME = regex.compile(r"[^\"<>\s/][^\"<>\s]{0,255}")


@lru_cache(maxsize=256)
def _syntax_of(
    openings: tuple[str, ...], header: str, parameter: str, texts: tuple[str, ...], **rest: Any
) -> TaggedSyntax:
    close, call_end, section_end, next_call = texts
    return TaggedSyntax(openings, header, parameter, close, call_end, section_end, next_call, **rest)


def _syntax(form: TaggedFormat, opening: str) -> TaggedSyntax:
    before, behind = _source(form.before_name), _source(form.behind_name)
    next_call = before if form.several or form.runs_on else ""
    quoted = form.before_name.rstrip().endswith('"')
    name = r"(?P<name>[^\"<>\n]{1,256})" if quoted else r"(?P<name>[^<>{}\s]{1,256})"
    if form.opens_alone:
        before = f"(?:{before})?"
    if not form.behind_name.strip():
        # Any word could be a name: the text behind it decides.
        end = _source(form.call_end or form.section_end)
        behind = f"(?={SPACE}(?:{_source(form.before_key)}|{end}))"
    if form.json_bodies:
        behind = rf"(?:{behind}|(?P<empty>\"{SPACE}/>))"
    space = SPACE if form.loose else ""
    key = r"(?P<key>[^\"<>\n]{1,256}?)" if form.before_key.endswith('"') else r"(?P<key>[^<>\n]{1,256}?)"
    key = r"(?P<key>(?!/)[^\"<>\s]{1,256})" if form.nested else key
    words = "|".join(regex.escape(word) for word in dict.fromkeys(form.types.values()))
    parameter = (
        _source(form.before_key)
        + space
        + key
        + space
        + _source(form.behind_key).replace(regex.escape("$type"), f"(?P<type>{words})")
    )
    return _syntax_of(
        (*form.openings,),
        f"{before}{name}{behind}",
        parameter,
        (
            form.close.strip(),
            form.call_end.strip(),
            form.section_end.strip(),
            next_call,
        ),
        newlines=form.newlines,
        section_may_stay_open=bool(form.opens_alone) and opening == form.opens_alone,
        string_type=form.types.get("string", ""),
        wrap=form.wrap,
        nested=form.nested,
        paired_newlines=form.paired_newlines,
        json_bodies=form.json_bodies,
        key_begin="" if form.nested else _source(form.before_key),
    )


def _source(text: str) -> str:
    """A pattern for a text of tags, with other white space where it has some."""
    return SPACE.join(regex.escape(word) for word in text.split("\n") if word).replace(
        regex.escape("$number"), r"\d{1,6}"
    )
