"""Reads calls in Gemma's notation: JSON with unquoted keys, and strings between special marks.

call:Write{file_path:<escape>/a<escape>,lines:[1,2],options:{mode:420}}

Nothing is escaped, so a mark ends a string only if valid structure follows for the open brackets: the next
key or value, or all closing brackets and the call's end or a further call, which some models write before the
end mark. The end of a call is revoked if text follows it and then another string end with valid structure
behind it: then the first end was content.

Still ambiguous: a string that contains a mark followed by a comma and a key (in a list: a comma and a value);
or by all closing brackets and the start of a call; or by all closing brackets, the call's end and at once an
opening mark; or by all closing brackets, the call's end, other text, and the start of a call.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import regex

from engine.tool_calls.reading.mark_search import partial_mark_start
from engine.tool_calls.reading.notation_calls import Bracket, NotationReader
from engine.tool_calls.reading.pieces import CallBegin, CallPiece
from engine.tool_calls.schemas.tools import ToolSchemas

_SPACE = r"[ \t\r\n]{0,8}"
_MAX_DEPTH = 16  # open brackets that the end of a string is checked against
_HEADER = rf"{_SPACE}call:{_SPACE}(?P<name>[^\s{{}}:<]{{1,256}}){_SPACE}\{{"
_UNNAMED_HEADER = _HEADER.replace("?P<name>", "?:")
_SCALAR = regex.compile(rf"{_SPACE}(?P<scalar>[^\s,{{}}\[\]<>:\"]{{1,4096}})(?={_SPACE}[,\]}}])")
_BRACKET = regex.compile(_SPACE + r"([{\[])")


class GemmaMarks:
    """The marks of one Gemma model, and the patterns made of them."""

    def __init__(self, opening: str, end: str, quote: str) -> None:
        self.opening, self.end, self.quote = opening, end, quote
        mark = regex.escape(quote)
        quoted = rf"{mark}(?P<quoted>(?:(?!{mark}).){{1,256}}){mark}"
        key = rf"{_SPACE}(?:{quoted}|(?P<bare>[^\s,:{{}}\[\]<>\"]{{1,256}})){_SPACE}:"
        self.header = regex.compile(_HEADER)
        self.begin = regex.compile(regex.escape(opening) + _HEADER)
        self.brackets = {
            "{": Bracket(regex.compile(_SPACE + r"\}"), "{}", regex.compile(key)),
            "[": Bracket(regex.compile(_SPACE + r"\]"), "[]"),
        }
        self.quoted = regex.compile(_SPACE + mark)
        self.tail = regex.compile(_SPACE + regex.escape(end))
        self.behind = lru_cache(256)(self._behind)
        self._key_source = regex.sub(r"\?P<\w+>", "?:", key)
        self._value_source = rf"{_SPACE}(?:{mark}|[-\d{{\[]|true|false|null|True|False|None)"

    def _behind(self, brackets: str) -> Any:
        """The pattern of what may follow a string in open `brackets`; group `end` is the call's end."""
        end = f"(?:(?P<end>{_SPACE}{regex.escape(self.end)})|{_UNNAMED_HEADER})"
        source = end if len(brackets) <= _MAX_DEPTH else ""
        for bracket in brackets[-_MAX_DEPTH:]:
            more, close = (self._key_source, r"\}") if bracket == "{" else (self._value_source, r"\]")
            source = rf"{_SPACE}(?:,{more}|{close}{source})"
        return regex.compile(source)


class GemmaCallReader(NotationReader):
    """Reads one call; see `engine.tool_calls.reading.family.CallReader`."""

    bracket = _BRACKET
    scalar = _SCALAR

    def __init__(self, marks: GemmaMarks, tools: ToolSchemas) -> None:
        super().__init__(marks.opening, tools)
        self._marks = marks
        self.brackets, self.quote = marks.brackets, marks.quoted

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

    def _in_string(self, pieces: list[CallPiece]) -> bool:
        quote = self._marks.quote
        at = self._buffer.find(quote)
        if at < 0:
            self._add_to_string(self._pop_text(partial_mark_start(self._buffer, (quote,))), pieces)
            return self._skip("it is truncated") if self._closed else False
        self._add_to_string(self._pop_text(at), pieces)
        found = self._marks.behind(self._brackets).match(self._buffer, len(quote), partial=True)
        if found is None:
            self._add_to_string(self._pop_text(len(quote)), pieces)
        elif found.partial and not self._closed:
            return False
        elif not found.partial and found.groupdict().get("end") is not None:
            self._keep_end(found.end(), self._behind_end)
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
                self._add_to_string(self._kept(), pieces)
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
        more = self._marks.header.match(self._buffer, partial=True)
        if more is not None and not more.partial:
            self._end_call(pieces)
            self._state = self._header
            return True
        if found is None or (found.partial and not self._closed):
            return self._await_any([found, more], "text follows its arguments")
        self._take(found.end())
        self._end_call(pieces)
        self._finish()
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
        return self._give_up(pieces)

    # Steps

    def _key_text(self, found: Any) -> str:
        return str(found["bare"] if found["quoted"] is None else found["quoted"])

    def _accept_end(self, pieces: list[CallPiece]) -> bool:
        closes = "".join(self.brackets[bracket].json[1] for bracket in reversed(self._brackets))
        self._emit('"' + closes, pieces)
        self._end_there()
        self._end_call(pieces)
        self._finish()
        return False
