"""Calls in a notation with brackets, keys and strings: Gemma's own, and Python's.

FunctionGemma: <start_function_call>call:Write{file_path:<escape>/a<escape>}<end_function_call>
Gemma 4:       <|tool_call>call:Write{file_path:<|"|>/a<|"|>}<tool_call|>
LFM2:          <|tool_call_start|>[Write(file_path="/a")]<|tool_call_end|>

`engine.tool_calls.reading.gemma_calls` says what is ambiguous in Gemma's notation. Python's strings have
escapes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import regex

from engine.tool_calls.reading.bare_grammar import BareHead, bare_rules, without_beginning
from engine.tool_calls.reading.family import ArgumentsRule, Bare, CallReader
from engine.tool_calls.reading.gemma_calls import GemmaCallReader, GemmaMarks
from engine.tool_calls.reading.notation_grammar import Notation, notation_rules, notation_unconstrained
from engine.tool_calls.reading.pythonic_calls import PythonicCallReader, PythonicSyntax
from engine.tool_calls.schemas.lark_text import choice, json_value, literal, text_pattern
from engine.tool_calls.schemas.pattern_source import escaped, pattern
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

_MAX_KEY_LENGTH = 256


@dataclass(frozen=True, slots=True)
class GemmaFormat:
    """A family, by its marks."""

    name: str
    marks: GemmaMarks
    layout: tuple[str, ...]
    thinking: tuple[str, str] | None = None
    bare_openings: tuple[str, ...] = ()
    bare: Bare = ""
    head: str = ""

    @property
    def openings(self) -> tuple[str, ...]:
        return (self.marks.opening,)

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return GemmaCallReader(self.marks, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        notation = _gemma(self.marks.quote)
        return f'calls: "call:" {notation.letters}\n' + notation_rules(
            notation, ("", self.marks.end), tools, arguments
        )

    def unconstrained(self, tool: ToolSchema) -> str:
        return notation_unconstrained(_gemma(self.marks.quote), tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        return "".join(
            f"{self.marks.opening}call:{name}{_gemma_text(arguments, self.marks.quote)}{self.marks.end}"
            for name, arguments in calls
        )


@lru_cache(maxsize=8)
def _gemma(quote: str) -> Notation:
    def string(schema: Mapping[str, Any], lazy: Callable[[str], str]) -> str:
        # A string may contain anything but its mark.
        content = text_pattern(schema) or "(?s:.*)"
        return f"{literal(quote)} {lazy(pattern(content + escaped(quote)))}"

    return Notation(
        "gemma",
        key=lambda key, _: _gemma_key(key, quote) + ":",
        text=lambda value: _gemma_text(value, quote),
        string=string,
        any_key="/[a-zA-Z_][a-zA-Z0-9_-]{0,60}:/",
        is_readable=lambda key, _: 0 < len(key) <= _MAX_KEY_LENGTH and "\n" not in key and quote not in key,
        sorts=True,  # as Gemma's templates do
    )


def _gemma_text(value: Any, quote: str) -> str:
    """A value in Gemma's notation."""
    if isinstance(value, str):
        return f"{quote}{value}{quote}"
    if isinstance(value, Mapping):
        members = [f"{_gemma_key(key, quote)}:{_gemma_text(part, quote)}" for key, part in value.items()]
        return f"{{{','.join(members)}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(_gemma_text(part, quote) for part in value)}]"
    return json.dumps(value)


def _gemma_key(key: str, quote: str) -> str:
    """A member's name, between marks if it needs them."""
    is_bare = key and not any(letter.isspace() or letter in ',:{}[]<>"' for letter in key)
    return key if is_bare else f"{quote}{key}{quote}"


@dataclass(frozen=True, slots=True)
class PythonicFormat:
    """A family: `first` stands behind the opening mark, `between` between calls, `last` behind them."""

    name: str
    openings: tuple[str, ...]
    first: str
    between: str
    last: str
    thinking: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()
    bare_openings: tuple[str, ...] = ()
    bare: Bare = ""
    head: str = ""

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return PythonicCallReader(_pythonic_syntax(self.first, self.between, self.last), opening, tools)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        first, between, last = map(_lark, (self.first, self.between, self.last))
        lines = [f"calls: {first} python ({between} python)* {last}", "PYTHON_SPACE: /[ \\t\\n]{1,8}/"]
        if self.bare:
            header = r"\[[ \t]{0,8}\n?[ \t]{0,8}"
            heads = [
                BareHead(rf"{header}{escaped(tool.name)}\(", f"python_call_{place}")
                for place, tool in enumerate(tools)
            ]
            # An empty line would end it, as it ends calls that are never closed.
            behind = '(/,[ \\t]{0,8}\\n?[ \\t]{0,8}/ python)* "]"'
            not_called = without_beginning(r"\s*(?:[A-Za-z_]\w*\s*=|\))")
            lines += bare_rules(heads, not_called, behind=behind, spaced=any(self.openings))
        return "\n".join([*lines, notation_rules(_PYTHON, ("", ""), tools, arguments)])

    def unconstrained(self, tool: ToolSchema) -> str:
        return notation_unconstrained(_PYTHON, tool)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        written = self.between.join(
            f"{name}({', '.join(f'{key}={python_value(value)}' for key, value in arguments.items())})"
            for name, arguments in calls
        )
        return f"{self.openings[0]}{self.first}{written}{self.last}"


def python_value(value: Any) -> str:
    """A value as Python reads it; a string in double quotes."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{json.dumps(key)}: {python_value(part)}' for key, part in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(python_value, value))}]"
    return str(value) if value is None or isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


_ESCAPES = r"\\[ntrbf\\'\"]|\\x[0-7][0-9a-fA-F]"
_KEY = regex.compile(r"[^\s=,()\"']{1,256}")


def _python_string(schema: Mapping[str, Any], lazy: Callable[[str], str]) -> str:
    if isinstance(schema.get("pattern"), str) and text_pattern(schema) is not None:
        return json_value({"type": "string", "pattern": schema["pattern"]})
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    counted = text_pattern(schema) is not None
    count = (
        f"{{{least if isinstance(least, int) else 0},{most if isinstance(most, int) else ''}}}"
        if counted
        else "*"
    )
    escapes = _ESCAPES if counted else rf"{_ESCAPES}|\\u[0-9a-fA-F]{{4}}"
    return choice([pattern(rf"{quote}([^{quote}\\\n\r\x00]|{escapes}){count}{quote}") for quote in "\"'"])


_PYTHON = Notation(
    "python",
    key=lambda key, outermost: f"{key}=" if outermost else f"{json.dumps(key, ensure_ascii=False)}: ",
    text=python_value,
    string=_python_string,
    any_key='/"[a-zA-Z_][a-zA-Z0-9_-]{0,60}": ?/',
    is_readable=lambda key, outermost: _KEY.fullmatch(key) is not None or not outermost,
    braces=("(", ")"),
    comma="/, ?/",
    words={"boolean": '("True" | "False" | "true" | "false")', "null": '("None" | "null")'},
)


def _lark(text: str) -> str:
    """Marks, with other white space where the text has some."""
    parts = regex.findall(r"\s+|\S+", text)
    return " ".join("PYTHON_SPACE?" if part.isspace() else literal(part) for part in parts)


@lru_cache(maxsize=32)
def _pythonic_syntax(first: str, between: str, last: str) -> PythonicSyntax:
    name = r"\s{0,40}(?P<name>[^\s()\[\]{}=,\"'<>|]{1,256})\s{0,8}\("
    mark = last.strip().lstrip("])").strip()
    source = {part: r"\s{0,40}".join(map(regex.escape, part.split())) for part in (first, between, last)}
    return PythonicSyntax(
        regex.compile(rf"\s{{0,40}}{source[first]}{name}"),
        regex.compile(rf"\s{{0,40}}{source[between]}{name}"),
        regex.compile(rf"\s{{0,40}}{source[last]}"),
        mark,
    )
