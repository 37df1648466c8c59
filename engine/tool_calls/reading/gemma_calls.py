"""Reads calls in Gemma's notation: JSON with unquoted keys, and strings between special marks.

call:Write{file_path:<escape>/a<escape>,lines:[1,2],options:{mode:420}}

Nothing is escaped, so a mark ends a string only if valid structure follows for the open brackets: the next
key or value, or all closing brackets and the call's end. The end of a call is revoked if text follows it and
then another string end with valid structure behind it: then the first end was content.

Still ambiguous: a string that contains a mark followed by a comma and a key (in a list: a comma and a value);
or by all closing brackets, the call's end and at once an opening mark; or by all closing brackets, the call's
end, other text, and the start of a call.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import regex

from engine.tool_calls.reading.mark_search import partial_mark_start
from engine.tool_calls.reading.pieces import CallArguments, CallBegin, CallBroken, CallEnd, CallPiece
from engine.tool_calls.reading.stepping_reader import SteppingReader
from engine.tool_calls.schemas.argument_texts import string_piece, text_as_json
from engine.tool_calls.schemas.tools import ToolSchemas

_SPACE = r"[ \t\r\n]{0,8}"
_MAX_DEPTH = 16  # open brackets that the end of a string is checked against
_HEADER = rf"{_SPACE}call:{_SPACE}(?P<name>[^\s{{}}:<]{{1,256}}){_SPACE}\{{"
_SCALAR = regex.compile(rf"{_SPACE}(?P<scalar>[^\s,{{}}\[\]<>:\"]{{1,4096}})(?={_SPACE}[,\]}}])")


class GemmaMarks:
    """The marks of one Gemma model, and the patterns made of them."""

    def __init__(self, opening: str, end: str, quote: str) -> None:
        self.opening, self.end, self.quote = opening, end, quote
        mark = regex.escape(quote)
        quoted = rf"{mark}(?P<quoted>(?:(?!{mark}).){{1,256}}){mark}"
        key = rf"{_SPACE}(?:{quoted}|(?P<bare>[^\s,:{{}}\[\]<>\"]{{1,256}})){_SPACE}:"
        self.header = regex.compile(_HEADER)
        self.begin = regex.compile(regex.escape(opening) + _HEADER)
        self.key = regex.compile(key)
        self.quoted = regex.compile(_SPACE + mark)
        self.tail = regex.compile(_SPACE + regex.escape(end))
        self.behind = lru_cache(256)(self._behind)
        self._key_source = regex.sub(r"\?P<\w+>", "?:", key)
        self._value_source = rf"{_SPACE}(?:{mark}|[-\d{{\[]|true|false|null|True|False|None)"

    def _behind(self, brackets: str) -> Any:
        """The pattern of what may follow a string in open `brackets`; group `end` is the call's end."""
        source = f"(?P<end>{_SPACE}{regex.escape(self.end)})" if len(brackets) <= _MAX_DEPTH else ""
        for bracket in brackets[-_MAX_DEPTH:]:
            more, close = (self._key_source, r"\}") if bracket == "{" else (self._value_source, r"\]")
            source = rf"{_SPACE}(?:,{more}|{close}{source})"
        return regex.compile(source)


class GemmaCallReader(SteppingReader):
    """Reads one call; see `engine.tool_calls.reading.family.CallReader`."""

    def __init__(self, marks: GemmaMarks, tools: ToolSchemas) -> None:
        super().__init__(marks.opening, tools)
        self._marks = marks
        self._name = ""
        self._brackets = ""  # the open ones
        self._end = ""  # an end of the call that may still be content
        self._text_behind: list[str] = []  # the text behind it
        self._only_space_behind = True

    # States; each returns whether the next one can run at once

    def _header(self, pieces: list[CallPiece]) -> bool:
        found = self._marks.header.match(self._buffer, partial=True)
        if found is None or found.partial:
            return self._await_any([found], "it does not begin like a call")
        self._take(found.end())
        if found["name"] not in self._tools:
            return self._skip(f"it names {found['name']!r}, which was not offered")
        self._name = found["name"]
        pieces.append(CallBegin(self._name))
        self._open("{", pieces)
        return True

    def _first(self, pieces: list[CallPiece]) -> bool:
        """Behind an opening bracket: its end, or its first member."""
        close = _CLOSE[self._brackets[-1]].match(self._buffer, partial=True)
        if close is None:
            self._state = self._key if self._brackets[-1] == "{" else self._value
            return True
        if close.partial:
            return self._await_any([close], "")
        self._take(close.end())
        self._close_bracket(pieces)
        return True

    def _key(self, pieces: list[CallPiece]) -> bool:
        found = self._marks.key.match(self._buffer, partial=True)
        if found is None or found.partial:
            return self._await_any([found], "a key is missing")
        self._take(found.end())
        key = found["bare"] if found["quoted"] is None else found["quoted"]
        self._emit(f"{json.dumps(key, ensure_ascii=False)}: ", pieces)
        self._state = self._value
        return True

    def _value(self, pieces: list[CallPiece]) -> bool:
        quoted = self._marks.quoted.match(self._buffer, partial=True)
        bracket = _BRACKET.match(self._buffer, partial=True)
        scalar = _SCALAR.match(self._buffer, partial=True)
        if quoted is not None and not quoted.partial:
            self._take(quoted.end())
            self._emit('"', pieces)
            self._state = self._in_string
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
            return self._await_any([quoted, bracket, scalar], "a value is missing")
        return True

    def _behind_value(self, pieces: list[CallPiece]) -> bool:
        bracket = self._brackets[-1]
        comma = _COMMA.match(self._buffer, partial=True)
        close = _CLOSE[bracket].match(self._buffer, partial=True)
        if comma is not None and not comma.partial:
            self._take(comma.end())
            self._emit(", ", pieces)
            self._state = self._key if bracket == "{" else self._value
        elif close is not None and not close.partial:
            self._take(close.end())
            self._close_bracket(pieces)
        else:
            return self._await_any([comma, close], "text follows a value")
        return True

    def _in_string(self, pieces: list[CallPiece]) -> bool:
        quote = self._marks.quote
        at = self._buffer.find(quote)
        if at < 0:
            self._add_to_value(self._pop_text(partial_mark_start(self._buffer, (quote,))), pieces)
            return self._skip("it is truncated") if self._closed else False
        self._add_to_value(self._pop_text(at), pieces)
        found = self._marks.behind(self._brackets).match(self._buffer, len(quote), partial=True)
        if found is None:
            self._add_to_value(self._pop_text(len(quote)), pieces)
        elif found.partial and not self._closed:
            return False
        elif not found.partial and found.groupdict().get("end") is not None:
            self._end, self._text_behind, self._only_space_behind = self._pop_text(found.end()), [], True
            self._state = self._behind_end
        else:
            self._take(len(quote))
            self._emit('"', pieces)
            self._state = self._behind_value
        return True

    def _behind_end(self, pieces: list[CallPiece]) -> bool:
        """Behind an end of the call; it was content if a string ends before the next call."""
        marks = (self._marks.quote, self._marks.opening)
        places = [at for at in (self._buffer.find(mark) for mark in marks) if at >= 0]
        if not places:
            self._keep_behind(len(self._buffer) if self._closed else partial_mark_start(self._buffer, marks))
            return self._accept_end(pieces) if self._closed else False
        self._keep_behind(min(places))
        quote = self._marks.quote
        if self._buffer.startswith(quote):
            found = self._marks.behind(self._brackets).match(self._buffer, len(quote), partial=True)
            if found is not None and not found.partial:
                behind = self._end + "".join(self._text_behind)
                self._add_to_value(behind, pieces)
                self._state = self._in_string
                return True
        elif self._only_space_behind:
            return self._accept_end(pieces)
        else:
            found = self._marks.begin.match(self._buffer, partial=True)
            if found is not None and not found.partial:
                return self._accept_end(pieces)
        if found is not None and not self._closed:
            return False
        self._keep_behind(1)
        return True

    def _tail(self, pieces: list[CallPiece]) -> bool:
        found = self._marks.tail.match(self._buffer, partial=True)
        if found is None or (found.partial and not self._closed):
            return self._await_any([found], "text follows its arguments")
        self._take(found.end())
        self._end_call(pieces)
        return False

    def _broken(self, pieces: list[CallPiece]) -> bool:
        """In a call that cannot be read: find the mark that ends it, or the next call's."""
        marks = (self._marks.end, self._marks.opening)
        places = [at for at in (self._buffer.find(mark) for mark in marks) if at >= 0]
        if places:
            self._take(min(places))
            if self._buffer.startswith(self._marks.end):
                self._take(len(self._marks.end))
        else:
            self._take(len(self._buffer) if self._closed else partial_mark_start(self._buffer, marks))
            if not self._closed:
                return False
        pieces.append(CallBroken("".join(self._raw), self._why))
        self._finish()
        return False

    # Steps

    def _await_any(self, found: list[Any], why: str) -> bool:
        """None of the expected tokens is complete: wait if one may still come, else skip the call."""
        if any(found):
            return self._skip("it is truncated") if self._closed else False
        return self._skip(why)

    def _open(self, bracket: str, pieces: list[CallPiece]) -> None:
        self._brackets += bracket
        self._emit(bracket, pieces)
        self._state = self._first

    def _close_bracket(self, pieces: list[CallPiece]) -> None:
        self._emit("}" if self._brackets[-1] == "{" else "]", pieces)
        self._brackets = self._brackets[:-1]
        self._state = self._behind_value if self._brackets else self._tail

    def _accept_end(self, pieces: list[CallPiece]) -> bool:
        closes = "".join("}" if bracket == "{" else "]" for bracket in reversed(self._brackets))
        self._emit('"' + closes, pieces)
        self._raw.append(self._end)
        self._buffer = "".join(self._text_behind) + self._buffer
        self._end_call(pieces)
        return False

    def _end_call(self, pieces: list[CallPiece]) -> None:
        pieces.append(CallEnd(self._name, "".join(self._arguments), "".join(self._raw)))
        self._finish()

    def _skip(self, why: str) -> bool:
        self._why = why
        self._state = self._broken
        return True

    def _add_to_value(self, text: str, pieces: list[CallPiece]) -> None:
        self._raw.append(text)
        self._emit(string_piece(text), pieces)

    def _emit(self, text: str, pieces: list[CallPiece]) -> None:
        if text:
            self._arguments.append(text)
            pieces.append(CallArguments(text))

    def _keep_behind(self, length: int) -> None:
        text = self._pop_text(length)
        self._text_behind.append(text)
        self._only_space_behind = self._only_space_behind and not text.strip()


_BRACKET = regex.compile(_SPACE + r"([{\[])")
_COMMA = regex.compile(_SPACE + ",")
_CLOSE = {"{": regex.compile(_SPACE + r"\}"), "[": regex.compile(_SPACE + r"\]")}
