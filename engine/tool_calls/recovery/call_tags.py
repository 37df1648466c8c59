"""Calls in tags, of all families.

    <invoke name="Read"><parameter name="file_path">/a</parameter></invoke>
    <function=Read><parameter=file_path>/a</parameter></function>
    <Read>{"file_path": "/a"}</Read>
    <Read><file_path>/a</file_path></Read>

A value is the exact text between its tags. In all forms but the first, line breaks next to tags that are
alone on their lines are layout. A value ends at an end tag that is followed by another value or by the end of
the call. A value that contains such tags is ambiguous and is not read.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from engine.tool_calls.reading.json_extent import JsonExtent
from engine.tool_calls.schemas.name_matching import matching_name
from engine.tool_calls.schemas.tools import ToolSchemas

_ANY_NAME = r"""["']?(?P<name>[\w.:/-]+)["']?\s*"""
_SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class TaggedCall:
    """`arguments` is JSON text; `unclosed`: the end tag of the call is missing."""

    name: str
    arguments: str
    form: str
    unclosed: bool
    end: int


@dataclass(frozen=True, slots=True)
class _Form:
    """The patterns of one form of tags; `lines`: tags are alone on their lines."""

    name: str
    opening: re.Pattern[str]
    end: str
    argument: re.Pattern[str]
    argument_end: str
    lines: bool


_FORMS = (
    _Form(
        "<invoke>",
        re.compile(r"<(?:antml:)?invoke\s+name=" + _ANY_NAME + ">"),
        r"</(?:antml:)?invoke>",
        re.compile(r"<(?:antml:)?parameter\s+name=" + _ANY_NAME + r'(?:string="(?:true|false)"\s*)?>'),
        r"</(?:antml:)?parameter>",
        lines=False,
    ),
    _Form(
        "<function>",
        re.compile(r"<function(?:=|\s+name=)" + _ANY_NAME + ">"),
        r"</function>",
        re.compile(r"<parameter(?:=|\s+name=)" + _ANY_NAME + ">"),
        r"</parameter>",
        lines=True,
    ),
)


def tagged_call(text: str, start: int, tools: ToolSchemas) -> TaggedCall | None:
    """The call whose opening tag is at `start`; None if it cannot be read."""
    for form in _FORMS:
        if opening := form.opening.match(text, start):
            return _call(text, opening["name"], opening.end(), form)
    if (opening := re.compile(r"<([\w.-]+)>").match(text, start)) and (
        name := matching_name(opening[1], tools)
    ):
        own = "|".join(map(re.escape, tools[name].properties)) or r"(?!)"
        form = _Form(
            f"<{opening[1]}>",
            opening.re,
            f"</{re.escape(opening[1])}>",
            re.compile(rf"<(?P<name>{own})>"),
            r"</{name}>",
            lines=True,
        )
        return _call(text, name, opening.end(), form)
    return None


def _call(text: str, name: str, at: int, form: _Form) -> TaggedCall | None:
    end = re.compile(form.end)
    at = _skip(text, at)
    if text.startswith("{", at):
        return _json_call(text, name, at, form, end)
    arguments: dict[str, str] = {}
    while True:
        at = _skip(text, at)
        if closing := end.match(text, at):
            return TaggedCall(name, _json(arguments), form.name, False, closing.end())
        if at == len(text) and arguments:
            return TaggedCall(name, _json(arguments), form.name, True, at)
        argument = form.argument.match(text, at)
        if argument is None or argument["name"] in arguments:
            return None
        found = _value(text, argument, form)
        if found is None:
            return None
        arguments[argument["name"]], at = found


def _value(text: str, argument: re.Match[str], form: _Form) -> tuple[str, int] | None:
    closing = form.argument_end.replace("{name}", re.escape(argument["name"]))
    following = rf"{closing}(?=\s*(?:{_unnamed(form.argument)}|{form.end}|\Z))"
    found = re.compile(following).search(text, argument.end())
    if found is None:
        return None
    value = text[argument.end() : found.start()]
    if form.argument.search(value) or re.search(form.end, value):
        return None
    if form.lines and value.startswith("\n") and value.endswith("\n") and len(value) > 1:
        value = value[1:-1]
    return value, found.end()


def _json_call(text: str, name: str, at: int, form: _Form, end: re.Pattern[str]) -> TaggedCall | None:
    extent, followed = JsonExtent(), at
    for closing in end.finditer(text, at):
        extent.feed(text[followed : closing.start()])
        followed = closing.start()
        if not extent.in_string:
            return TaggedCall(name, text[at : closing.start()], form.name, False, closing.end())
    return None


def _unnamed(pattern: re.Pattern[str]) -> str:
    return pattern.pattern.replace("?P<name>", "?:")


def _json(arguments: dict[str, str]) -> str:
    return json.dumps(arguments, ensure_ascii=False)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()
