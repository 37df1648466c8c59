"""Reads calls in Python's syntax: `[Read(file_path="/a", limit=5), Glob(pattern="*")]`.

Arguments have names. Values are strings of any quotes, numbers, `True`, `False` and `None`, or JSON's words
for them, lists, tuples, and dictionaries with strings as keys. An escape that Python does not know is text,
and so is one of digits: models mean a reference in a pattern.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import regex

from engine.tool_calls.reading.mark_search import partial_mark_start
from engine.tool_calls.reading.notation_calls import Bracket, NotationReader, Pattern
from engine.tool_calls.reading.pieces import CallBegin, CallPiece
from engine.tool_calls.reading.stepping_reader import State
from engine.tool_calls.schemas.argument_texts import string_piece
from engine.tool_calls.schemas.tools import ToolSchemas

_SPACE = r"[ \t\r\n]{0,40}"
_STRING = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "\n": ""}
_SIMPLE |= {letter: letter for letter in "\\'\""}
_ESCAPE = regex.compile(
    r"\\(?:(?P<simple>[ntrbfav\n\\'\"])|u(?P<u>[0-9a-fA-F]{4})|x(?P<x>[0-9a-fA-F]{2})"
    r"|U(?P<big>[0-9a-fA-F]{8})|(?P<other>[^ntrbfav\n\\'\"uxU]))"
)
_MAX_CODE = 0x10FFFF


@dataclass(frozen=True)
class PythonicSyntax:
    """`first` stands before the first call of a section, `more` before another, `end` ends it: patterns.

    `end_mark` ends a section that cannot be read; empty for none.
    """

    first: Pattern
    more: Pattern
    end: Pattern
    end_mark: str


class PythonicCallReader(NotationReader):
    """Reads the calls of one section; see `engine.tool_calls.reading.family.CallReader`."""

    brackets: Mapping[str, Bracket] = {
        "(": Bracket(
            regex.compile(_SPACE + r"\)"),
            "{}",
            regex.compile(_SPACE + r"(?P<key>[^\s=,()\"']{1,256})\s{0,8}="),
        ),
        "{": Bracket(
            regex.compile(_SPACE + r"\}"),
            "{}",
            regex.compile(rf"{_SPACE}(?P<key>{_STRING}){_SPACE}:", regex.DOTALL),
        ),
        "[": Bracket(regex.compile(_SPACE + r"\]"), "[]"),
        "t": Bracket(regex.compile(_SPACE + r"\)"), "[]"),
    }
    quote = regex.compile(_SPACE + r"([\"'])")
    bracket = regex.compile(_SPACE + r"([{\[(])")
    scalar = regex.compile(rf"{_SPACE}(?P<scalar>[^\s,{{}}\[\]()<>:\"']{{1,4096}})(?={_SPACE}[,\]}})])")
    trailing_commas = True

    def __init__(self, syntax: PythonicSyntax, opening: str, tools: ToolSchemas) -> None:
        super().__init__(opening, tools)
        self._opening = opening
        self._syntax = syntax
        self._before = syntax.first
        self._quote = ""

    # States; each returns whether the next one can run at once

    def _header(self, pieces: list[CallPiece]) -> bool:
        found = self._before.match(self._buffer, partial=True)
        if found is None or found.partial:
            return self._await_any([found], "it does not begin like a call")
        if found["name"] not in self._tools:
            return self._skip(f"it names {found['name']!r}, which was not offered")
        self._take(found.end())
        self._name = found["name"]
        pieces.append(CallBegin(self._name))
        self._open("(", pieces)
        return True

    def _string_begin(self, pieces: list[CallPiece]) -> bool:
        """Behind a quote: two more make it a long string."""
        more = 2 * self._quote
        if len(self._buffer) < len(more) and more.startswith(self._buffer) and not self._closed:
            return False
        if self._buffer.startswith(more):
            self._take(len(more))
            self._quote *= 3
        self._state = self._in_string
        return True

    def _in_string(self, pieces: list[CallPiece]) -> bool:
        quote = self._quote
        places = [at for at in (self._buffer.find(mark) for mark in (quote, "\\")) if at >= 0]
        if not places:
            self._add_to_string(self._pop_text(partial_mark_start(self._buffer, (quote, "\\"))), pieces)
            return self._skip("it is truncated") if self._closed else False
        self._add_to_string(self._pop_text(min(places)), pieces)
        if self._buffer.startswith(quote):
            self._take(len(quote))
            self._emit('"', pieces)
            self._state = self._behind_value
            return True
        found = _ESCAPE.match(self._buffer, partial=not self._closed)
        if found is not None and found.partial:
            return False
        if found is None:  # `\u` and no digits
            self._add_to_string(self._pop_text(1), pieces)
            return True
        self._emit(_escaped(found), pieces)
        self._take(found.end())
        return True

    def _tail(self, pieces: list[CallPiece]) -> bool:
        """Behind a call: another call, the end of the section, or text."""
        end = self._syntax.end.match(self._buffer, partial=True)
        more = self._syntax.more.match(self._buffer, partial=True)
        if end is not None and (not end.partial or self._closed):
            self._take(end.end())
        elif more is not None and not more.partial:
            self._end_call(pieces)
            self._before, self._state = self._syntax.more, self._header
            return True
        elif not self._closed and (end is not None or more is not None):
            return False
        self._end_call(pieces)
        self._finish()
        return False

    def _broken(self, pieces: list[CallPiece]) -> bool:
        """In calls that cannot be read: find the mark that ends them, or that opens others."""
        marks = tuple(filter(None, (self._syntax.end_mark, self._opening)))
        places = [at for at in (self._buffer.find(mark) for mark in marks) if at >= 0]
        if not places:
            self._take(len(self._buffer) if self._closed else partial_mark_start(self._buffer, marks))
            return self._give_up(pieces) if self._closed else False
        self._take(min(places))
        if self._syntax.end_mark and self._buffer.startswith(self._syntax.end_mark):
            self._take(len(self._syntax.end_mark))
        return self._give_up(pieces)

    # Steps

    def _key_text(self, found: Any) -> str:
        key = str(found["key"])
        return python_text(key) if key[0] in "\"'" else key

    def _begin_string(self, quote: Any) -> State:
        self._quote = quote[1]
        return self._string_begin

    def _open(self, bracket: str, pieces: list[CallPiece]) -> None:
        super()._open("t" if bracket == "(" and self._brackets else bracket, pieces)


def python_text(literal: str) -> str:
    """The text of a string in quotes."""
    text, parts, at = literal[1:-1], [], 0
    for found in _ESCAPE.finditer(text):
        parts += [string_piece(text[at : found.start()]), _escaped(found)]
        at = found.end()
    return str(json.loads('"' + "".join([*parts, string_piece(text[at:])]) + '"'))


def _escaped(found: Any) -> str:
    """JSON's spelling of an escape."""
    if (simple := found["simple"]) is not None:
        return string_piece(_SIMPLE[simple])
    if (other := found["other"]) is not None:
        return "\\\\" + string_piece(other)
    if found["u"] is not None:
        return f"\\u{found['u']}"
    code = int(found["x"] or found["big"], 16)
    return string_piece(chr(code) if code <= _MAX_CODE else "\ufffd")
