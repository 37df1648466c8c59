"""The base of readers of calls in a notation with brackets, keys and strings, much like JSON."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import regex

from engine.tool_calls.reading.pieces import CallEnd, CallPiece
from engine.tool_calls.reading.stepping_reader import State
from engine.tool_calls.reading.unescaped_reader import UnescapedReader
from engine.tool_calls.schemas.argument_texts import string_piece, text_as_json
from engine.tool_calls.schemas.tools import ToolSchemas

Pattern = Any  # a compiled pattern of the `regex` package, for partial matches


@dataclass(frozen=True, slots=True)
class Bracket:
    """An opening bracket: what closes it, JSON's brackets for it, and for members with names their `key`."""

    close: Pattern
    json: str
    key: Pattern | None = None


class NotationReader(UnescapedReader):
    """Reads values up to the closing bracket of a call; subclasses read header, strings and end."""

    brackets: Mapping[str, Bracket]
    quote: Pattern  # the beginning of a string
    bracket: Pattern  # group 1: a bracket
    scalar: Pattern  # group `scalar`, up to a comma or a closing bracket
    trailing_commas = False

    def __init__(self, opening: str, tools: ToolSchemas) -> None:
        super().__init__(opening, tools)
        self._name = ""
        self._brackets = ""  # the open ones

    @abstractmethod
    def _in_string(self, pieces: list[CallPiece]) -> bool:
        """The state within a string."""

    @abstractmethod
    def _tail(self, pieces: list[CallPiece]) -> bool:
        """The state behind the last closing bracket of a call."""

    @abstractmethod
    def _key_text(self, found: Any) -> str:
        """The name in a match of a bracket's `key`."""

    # States; each returns whether the next one can run at once

    def _first(self, pieces: list[CallPiece]) -> bool:
        """Behind an opening bracket: its end, or its first member."""
        bracket = self.brackets[self._brackets[-1]]
        close = bracket.close.match(self._buffer, partial=True)
        if close is None:
            self._state = self._key if bracket.key is not None else self._value
            return True
        if close.partial:
            return self._await_any([close], "")
        self._take(close.end())
        self._close_bracket(pieces)
        return True

    def _key(self, pieces: list[CallPiece]) -> bool:
        pattern = self.brackets[self._brackets[-1]].key
        assert pattern is not None
        found = pattern.match(self._buffer, partial=True)
        if found is None or found.partial:
            return self._await_any([found], "a key is missing")
        self._take(found.end())
        self._emit(f"{json.dumps(self._key_text(found), ensure_ascii=False)}: ", pieces)
        self._state = self._value
        return True

    def _value(self, pieces: list[CallPiece]) -> bool:
        quote = self.quote.match(self._buffer, partial=True)
        bracket = self.bracket.match(self._buffer, partial=True)
        scalar = self.scalar.match(self._buffer, partial=True)
        if quote is not None and not quote.partial:
            self._take(quote.end())
            self._emit('"', pieces)
            self._state = self._begin_string(quote)
        elif bracket is not None and not bracket.partial:
            self._take(bracket.end())
            self._open(bracket[1], pieces)
        elif scalar is not None and not scalar.partial:
            value = text_as_json(scalar["scalar"])
            if value is None:
                return self._skip(f"the value {scalar['scalar']!r} is not JSON")
            self._take(scalar.end())
            self._emit(value, pieces)
            self._state = self._behind_value
        else:
            return self._await_any([quote, bracket, scalar], "a value is missing")
        return True

    def _behind_value(self, pieces: list[CallPiece]) -> bool:
        bracket = self.brackets[self._brackets[-1]]
        comma = COMMA.match(self._buffer, partial=True)
        close = bracket.close.match(self._buffer, partial=True)
        if comma is not None and not comma.partial:
            if self.trailing_commas:
                close = bracket.close.match(self._buffer, comma.end(), partial=True)
                if close is not None and close.partial and not self._closed:
                    return False
                if close is not None and not close.partial:
                    self._take(close.end())
                    self._close_bracket(pieces)
                    return True
            self._take(comma.end())
            self._emit(", ", pieces)
            self._state = self._key if bracket.key is not None else self._value
        elif close is not None and not close.partial:
            self._take(close.end())
            self._close_bracket(pieces)
        else:
            return self._await_any([comma, close], "text follows a value")
        return True

    # Steps

    def _begin_string(self, quote: Any) -> State:
        """The state behind this match of `quote`."""
        return self._in_string

    def _add_to_string(self, text: str, pieces: list[CallPiece]) -> None:
        self._raw.append(text)
        self._emit(string_piece(text), pieces)

    def _await_any(self, found: list[Any], why: str) -> bool:
        """None of the expected tokens is complete: wait if one may still come, else skip the call."""
        if any(found):
            return self._skip("it is truncated") if self._closed else False
        return self._skip(why)

    def _open(self, bracket: str, pieces: list[CallPiece]) -> None:
        self._brackets += bracket
        self._emit(self.brackets[bracket].json[0], pieces)
        self._state = self._first

    def _close_bracket(self, pieces: list[CallPiece]) -> None:
        self._emit(self.brackets[self._brackets[-1]].json[1], pieces)
        self._brackets = self._brackets[:-1]
        self._state = self._behind_value if self._brackets else self._tail

    def _end_call(self, pieces: list[CallPiece]) -> None:
        pieces.append(CallEnd(self._name, "".join(self._arguments), "".join(self._raw)))
        self._raw, self._arguments = [], []


COMMA = regex.compile(r"[ \t\r\n]{0,8},")
