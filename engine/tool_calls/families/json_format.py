"""Calls whose arguments are one JSON object: a family is the texts around the name and the arguments.

From such a description follow the reader, the grammar and the written form. Where the description has white
space, and between the parts of JSON, the grammar allows other white space too; the reader allows it between
all parts. The reader also takes `parameters` for `arguments`, and an id or a type beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import Any

import regex

from engine.tool_calls.reading.bare_grammar import bare_rules, is_plain, json_heads
from engine.tool_calls.reading.family import ArgumentsRule, Bare, CallReader
from engine.tool_calls.reading.json_calls import JsonCallReader, JsonSyntax, json_unconstrained
from engine.tool_calls.schemas.lark_text import choice, literal
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas


class Varying(Enum):
    """What differs from call to call."""

    NAME = "name"
    QUOTED_NAME = "name as JSON"
    NUMBER = "number"  # of the call in its answer
    QUOTED_NUMBER = "number as JSON text"
    ID = "id"  # of the call; any text
    QUOTED_ID = "id as JSON"
    ARGUMENTS = "arguments"


@dataclass(frozen=True, slots=True)
class Json:
    """A text of JSON's syntax."""

    text: str


@dataclass(frozen=True, slots=True)
class Either:
    """One of several texts: the first is written, a grammar allows all; a reader takes `pattern` too."""

    texts: tuple[str, ...]
    pattern: str = r"(?!)"


@dataclass(frozen=True, slots=True)
class Maybe:
    """Parts that may be missing, and are not written."""

    parts: tuple[str | Json | Varying, ...]


Part = str | Json | Either | Maybe | Varying


def json_object(
    name: str = "name", arguments: str = "arguments", *, with_id: bool = False
) -> tuple[Part, ...]:
    """A call as an object with these keys; `with_id`: perhaps with its id behind them."""
    return (
        Json(f'{{"{name}": '),
        Varying.QUOTED_NAME,
        Json(f', "{arguments}": '),
        Varying.ARGUMENTS,
        *([Maybe((Json(', "id": '), Varying.QUOTED_ID))] if with_id else []),
        Json("}"),
    )


@dataclass(frozen=True, slots=True)
class JsonCall:
    """One way to write calls.

    A section is an opening mark, `first`, calls with `between` between them, and `last`; without `between` it
    is one call, and sections are joined by `joined`. `runs_on`: a reader takes calls that follow in the same
    section all the same. `end_may_miss`: what stands behind the arguments may be missing.
    """

    parts: tuple[Part, ...]
    first: tuple[Part, ...] = ()
    between: tuple[Part, ...] | None = None
    last: tuple[Part, ...] = ()
    joined: str = "\n"
    runs_on: bool = False
    end_may_miss: bool = False

    @property
    def header(self) -> tuple[Part, ...]:
        """What stands before the arguments."""
        return self.parts[: self.parts.index(Varying.ARGUMENTS)]

    @property
    def tail(self) -> tuple[Part, ...]:
        """What stands behind the arguments."""
        return self.parts[self.parts.index(Varying.ARGUMENTS) + 1 :]


@dataclass(frozen=True, slots=True)
class JsonFormat:
    """A family; of `calls`, the first is written and constrained, and the reader takes all."""

    name: str
    openings: tuple[str, ...]
    calls: tuple[JsonCall, ...]
    thinking: tuple[str, str] | None = None
    layout: tuple[str, ...] = ()
    bare_openings: tuple[str, ...] = ()
    bare: Bare = ""
    head: str = ""

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        return JsonCallReader(_syntaxes(self.calls), opening, tools)

    def reader_from_name(self, opening: str, named: str, tools: ToolSchemas) -> CallReader:
        """A reader behind a mark that has the tool's name; `named` is the name and the rest of the mark."""
        syntax = _syntax(replace(self.calls[0], between=None), several=True)
        return JsonCallReader((syntax,), opening, tools, begun=named)

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        call, rule = self.calls[0], self.name
        at = next(
            place for place, part in enumerate(call.header) if part in (Varying.NAME, Varying.QUOTED_NAME)
        )
        written = _quoted if call.header[at] is Varying.QUOTED_NAME else str
        space = f"{rule.upper()}_SPACE"

        def lark(parts: Iterable[Part]) -> str:
            return " ".join(_lark(part, space) for part in parts).strip()

        one = f"{rule}_call"
        section = one if call.between is None else f"{one} ({lark(call.between)} {one})*".replace("( ", "(")
        tail = lark(call.tail)
        tail = f"({tail})?" if tail and call.end_may_miss else tail
        named = [
            f"{literal(written(tool.name))} {rule}_middle {arguments(tool)}" if call.header[at + 1 :]
            else f"{literal(written(tool.name))} {arguments(tool)}"
            for tool in tools
        ]  # fmt: skip
        lines = [
            f"calls: {lark(call.first)} {section} {f'{space}?' if call.last else ''} {lark(call.last)}",
            f"{one}: {lark(call.header[:at])} {rule}_named {tail}",
            f"{rule}_named: " + "\n  | ".join(named),
        ]
        if call.header[at + 1 :]:
            lines.append(f"{rule}_middle: {lark(call.header[at + 1 :])}")
        if self.bare:
            heads, more = json_heads(tools, arguments, _written(call.between or ()), listed=bool(call.first))
            behind = f"bare_next* {lark(call.last)}"
            if heads:
                lines += [*bare_rules(heads, behind=behind, spaced=True), *more]
        if any(space in line for line in lines):
            lines.append(f"{space}: /[ \\t]{{1,8}}|\\n[ \\t]{{0,40}}/")
        return "\n".join(lines)

    def unconstrained(self, tool: ToolSchema) -> str:
        bare = "a call without a mark" if self.bare and not is_plain(tool) else ""
        return json_unconstrained(tool) or bare

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        form = self.calls[0]
        written = [_written(form.parts, number, *call) for number, call in enumerate(calls)]
        first, last = _written(form.first), _written(form.last)
        if form.between is None:
            return form.joined.join(f"{self.openings[0]}{first}{call}{last}" for call in written)
        return f"{self.openings[0]}{first}{_written(form.between).join(written)}{last}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _written(parts: Iterable[Part], number: int = 0, name: str = "", arguments: Any = None) -> str:
    slots: dict[Varying, Callable[[], str]] = {
        Varying.NAME: lambda: name,
        Varying.QUOTED_NAME: lambda: _quoted(name),
        Varying.NUMBER: lambda: str(number),
        Varying.QUOTED_NUMBER: lambda: f'"{number}"',
        Varying.QUOTED_ID: lambda: f'"call{number:05}"',
        Varying.ID: lambda: f"call{number:05}",
        Varying.ARGUMENTS: lambda: json.dumps(arguments, ensure_ascii=False),
    }
    texts = []
    for part in parts:
        match part:
            case str():
                texts.append(part)
            case Json():
                texts.append(part.text)
            case Either():
                texts.append(part.texts[0])
            case Varying():
                texts.append(slots[part]())
            case Maybe():
                pass
    return "".join(texts)


# Grammar

_TOKEN = regex.compile(r"\"[^\"]*\"|[{}\[\],:]|[^\s\"{}\[\],:]+")


def _lark(part: Part, space: str) -> str:
    match part:
        case str():
            return _spaced([literal(word) for word in part.split()], part, space)
        case Json():
            tokens = [literal(token) for token in _TOKEN.findall(part.text)]
            return f" {space}? ".join(["", *tokens, ""]).strip()
        case Either():
            # Exact, for what stands directly behind a name.
            return f"({choice([literal(text) for text in part.texts])})"
        case Varying.NUMBER:
            return "/[0-9]{1,3}/"
        case Varying.QUOTED_NUMBER:
            return '/"[0-9]{1,3}"/'
        case Varying.QUOTED_ID:
            return '/"[a-zA-Z0-9_.:-]{1,64}"/'
        case Maybe():
            return f"({' '.join(_lark(one, space) for one in part.parts)})?"
        case _:
            return "/[a-zA-Z0-9_.:-]{1,64}/"


def _spaced(words: list[str], text: str, space: str) -> str:
    """Words with optional white space where the text has any."""
    edges = ("" if text[:1].strip() else f"{space}?", "" if text[-1:].strip() else f"{space}?")
    if not words:
        return f"{space}?" if text else ""
    return " ".join(filter(None, [edges[0], f" {space}? ".join(words), edges[1]]))


# Reading

_NAME = r"(?P<name>[^\s<>|｜`{}\[\]\"]{1,256})"
_QUOTED_NAME = r"\"(?P<name>[^\"\\]+)\""
_BESIDE = r"\"(?:id|type|index|call_id|tool_call_id)\"\s*:\s*(?:\"[^\"\\]*\"|\d{1,9})"
_KEYS = {'"arguments"', '"parameters"'}
_MARK = regex.compile(r"[^\s\]}).]\S*(?:[ \t]+\S+)*\s*\Z")


@lru_cache(maxsize=128)
def _syntaxes(calls: tuple[JsonCall, ...]) -> tuple[JsonSyntax, ...]:
    return tuple(_syntax(call, several=len(calls) > 1) for call in calls)


def _syntax(call: JsonCall, *, several: bool) -> JsonSyntax:
    header, last = _source(call.header), _source(call.last)
    first = rf"\s*{_source(call.first)}" if call.first else ""
    # Of several ways, the beginning of the arguments shows which it is.
    begins = r"\s*(?=\{)" if several else r"\s*"
    more: str | None = None
    if call.between is not None and (between := _source(call.between).strip()) not in ("", r"\s*"):
        more = rf"\s*{between}"
    elif call.between is not None or call.runs_on:
        more = rf"\s*(?={_beginning(call.header)})"
    # The last mark behind the arguments, else the last one of the section.
    ends = [marks for part in (*call.last, *call.tail) if (marks := _marks(part))]
    return JsonSyntax(
        header=regex.compile(rf"{first}\s*{header}{begins}"),
        tail=regex.compile(rf"\s*{_source(call.tail)}" if call.tail else ""),
        more=regex.compile(more) if more is not None else None,
        end=regex.compile(rf"\s*{last}") if call.last else None,
        end_marks=ends[-1] if ends else (),
        tail_may_miss=call.end_may_miss,
        again=regex.compile(rf"\s*{header}{begins}") if first else None,
    )


def _beginning(header: Sequence[Part]) -> str:
    """The pattern of what shows that a call follows: its first mark, or all up to its arguments."""
    whole = _source(header).replace("?P<name>", "?:")
    match header[0]:
        case Varying.NAME:
            return whole + r"\s*\{"
        case Either(texts) as mark if "" in texts:
            return f"{_source([Either(tuple(filter(None, texts)), mark.pattern)])}|{whole}"
        case mark:
            return _source([mark])


def _marks(part: Part) -> tuple[str, ...]:
    """The mark at the end of a text, or of each of several."""
    texts = (part,) if isinstance(part, str) else part.texts if isinstance(part, Either) else ()
    return tuple(found[0].strip() for text in texts if (found := _MARK.search(text)))


def _source(parts: Iterable[Part]) -> str:
    return r"\s*".join(filter(None, map(_part_source, parts)))


def _part_source(part: Part) -> str:
    match part:
        case str():
            return r"\s*".join(regex.escape(word) for word in part.split())
        case Json():
            return r"\s*".join(map(_token_source, _TOKEN.findall(part.text)))
        case Either():
            return "(?:" + "|".join([*map(_part_source, part.texts), part.pattern]) + ")"
        case Varying.NAME:
            return _NAME
        case Varying.QUOTED_NAME:
            return _QUOTED_NAME
        case Varying.NUMBER:
            return r"\d{1,6}"
        case Varying.QUOTED_NUMBER:
            return r"\"\d{1,6}\""
        case Varying.QUOTED_ID:
            return r"\"[^\"\\]{0,64}\""
        case Maybe():
            return f"(?:{_source(part.parts)})?"
        case _:
            return r"[^\s<>|\[\]{}\"]{0,64}"


def _token_source(token: str) -> str:
    if token == "{":
        return rf"\{{\s*(?:{_BESIDE}\s*,\s*)*"
    if token == "}":
        return rf"(?:,\s*{_BESIDE}\s*)*\}}"
    return '"(?:arguments|parameters)"' if token in _KEYS else regex.escape(token)
