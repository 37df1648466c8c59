"""Calls with their arguments as one JSON object between marks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from engine.tool_calls.reading.json_extent import JsonExtent
from engine.tool_calls.reading.mark_search import partial_mark_start
from engine.tool_calls.reading.pieces import CallArguments, CallBegin, CallBroken, CallEnd, CallPiece
from engine.tool_calls.reading.stepping_reader import SteppingReader
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas, parse_json

Pattern = Any  # a compiled pattern of the `regex` package, for partial matches


_TRUNCATED_WORD: Pattern = regex.compile(r"[\s\w.+\\-]*$")
_MAX_LENGTH = 4096  # characters of marks and white space around arguments


@dataclass(frozen=True, slots=True)
class JsonSyntax:
    """The text around the arguments of calls behind one opening mark.

    `header` precedes the arguments and has the tool's name in its group `name`; `again` is that of a further
    call, if it is another. `tail` ends one call, and may be missing with `tail_may_miss`. `more` precedes a
    further call in the same section and `end` ends the section; without them a section is one call.
    `end_marks` end a call that cannot be read.
    """

    header: Pattern
    tail: Pattern
    more: Pattern | None = None
    end: Pattern | None = None
    end_marks: tuple[str, ...] = ()
    tail_may_miss: bool = False
    again: Pattern | None = None


def json_unconstrained(tool: ToolSchema) -> str:
    """The part of a schema that a grammar of JSON arguments does not enforce though it compiles."""
    # Readers accept only an object as arguments.
    is_object = tool.parameters.get("type", "object") == "object"
    return "" if is_object else "arguments that are not an object"


class JsonCallReader(SteppingReader):
    """Reads the calls of one section; see `engine.tool_calls.reading.family.CallReader`.

    With several syntaxes, the header of each call decides.
    """

    def __init__(
        self, syntaxes: Sequence[JsonSyntax], opening: str, tools: ToolSchemas, *, begun: str = ""
    ) -> None:
        super().__init__(opening, tools)
        self._buffer = begun  # text behind the mark that was read with it
        self._syntaxes = syntaxes
        self._syntax = syntaxes[0]
        self._opening = opening
        self._name = ""
        self._again = False  # a call of this section was read
        self._extent = JsonExtent()
        self._conclude: Callable[[list[CallPiece]], None] = self._end_call

    # States; each returns whether the next one can run at once

    def _header(self, pieces: list[CallPiece]) -> bool:
        headers = [
            (syntax, self._match(syntax.again if self._again and syntax.again else syntax.header))
            for syntax in self._syntaxes
        ]
        whole = [(syntax, found) for syntax, found in headers if found is not None and not found.partial]
        if not whole:
            if all(found is None for _, found in headers):
                return self._skip("it does not begin like a call")
            return self._skip("it is truncated") if self._closed else False
        self._syntax, found = whole[0]
        self._name = found["name"]
        if self._name not in self._tools:
            return self._skip(f"it names {self._name!r}, which was not offered")
        self._take(found.end())
        pieces.append(CallBegin(self._name))
        self._arguments, self._extent = [], JsonExtent()
        self._state = self._object
        return True

    def _object(self, pieces: list[CallPiece]) -> bool:
        if not self._arguments:
            self._take(len(self._buffer) - len(self._buffer.lstrip()))
            if self._buffer and not self._buffer.startswith("{"):
                return self._skip("its arguments are not a JSON object")
        taken = self._extent.feed(self._buffer)
        if taken:
            self._arguments.append(self._buffer[:taken])
            pieces.append(CallArguments(self._buffer[:taken]))
            self._take(taken)
        if self._extent.done:
            self._state = self._tail
            return True
        return self._skip("it is truncated") if self._closed else False

    def _tail(self, pieces: list[CallPiece]) -> bool:
        found = self._match(self._syntax.tail)
        if found is None and not self._syntax.tail_may_miss:
            return self._skip("text follows its arguments")
        if found is not None:
            if found.partial and not self._closed:
                return False
            self._take(found.end())
        self._conclude = self._end_call
        self._state = self._between
        return True

    def _between(self, pieces: list[CallPiece]) -> bool:
        """Behind a call: another call, the end of the section, or text."""
        end, more = (
            self._match(pattern) if pattern is not None else None
            for pattern in (self._syntax.end, self._syntax.more)
        )
        if end is not None and (not end.partial or self._closed):
            self._take(end.end())
        elif more is not None and not more.partial:
            self._conclude(pieces)
            self._take(more.end())
            self._again, self._state = True, self._header
            return True
        elif not self._closed and (end is not None or more is not None):
            return False
        self._conclude(pieces)
        self._finish()
        return False

    def _skipped(self, pieces: list[CallPiece]) -> bool:
        """In a call that cannot be read: find the mark that ends it, or the next call's."""
        marks = (self._opening, *self._syntax.end_marks)
        mark = _search(self._buffer, marks)
        if mark is None:
            self._skip_over(len(self._buffer) if self._closed else partial_mark_start(self._buffer, marks))
            if self._closed:
                self._end_at_first_mark(marks)
                self._conclude = self._give_up
                self._state = self._between
            return self._closed
        self._skip_over(mark.start())
        if self._extent.in_string or (mark[0] == self._opening and not any(self._raw)):
            # Within a string, or the mark that this call itself begins with.
            self._skip_over(len(mark[0]))
            return True
        if mark[0] != self._opening:
            self._take(len(mark[0]))
        self._conclude = self._give_up
        self._state = self._between
        return True

    def _skip(self, why: str) -> bool:
        self._why = why
        self._state = self._skipped
        text = "".join(self._raw)
        self._raw, self._buffer = [], text + self._buffer
        self._extent = JsonExtent()
        self._skip_over(len(text))
        return True

    def _skip_over(self, length: int) -> None:
        text = self._buffer[:length]
        self._take(length)
        if not (self._extent.begun or "{" in text) or self._extent.done:
            return
        self._extent.feed(text if self._extent.begun else text[text.index("{") :])

    def _end_at_first_mark(self, marks: Sequence[str]) -> None:
        """No mark is outside of what seem to be strings, so a quote is wrong: end at the first mark."""
        text = "".join(self._raw)
        mark = _search(text, marks, len(self._opening))
        if mark is not None and not _is_truncated(text[text.find("{") :]):
            end = mark.start() if mark[0] == self._opening else mark.end()
            self._raw, self._buffer = [text[:end]], text[end:]

    def _end_call(self, pieces: list[CallPiece]) -> None:
        arguments = "".join(self._arguments)
        try:
            parse_json(arguments)
        except ValueError as error:
            self._why = f"its arguments are not valid JSON: {error}"
            self._give_up(pieces)
            return
        pieces.append(CallEnd(self._name, arguments, "".join(self._raw)))
        self._raw = []

    def _give_up(self, pieces: list[CallPiece]) -> None:
        pieces.append(CallBroken("".join(self._raw), self._why))
        self._raw = []

    def _match(self, pattern: Pattern) -> Any:
        found = pattern.match(self._buffer, 0, _MAX_LENGTH, partial=True)
        return None if found is not None and found.partial and len(self._buffer) > _MAX_LENGTH else found


def _search(text: str, marks: Sequence[str], at: int = 0) -> Any:
    return regex.compile("|".join(regex.escape(mark) for mark in marks)).search(text, at)


def _is_truncated(text: str) -> bool:
    """Whether a JSON value is correct but lacks its end."""
    try:
        json.JSONDecoder(strict=False).raw_decode(text)
    except json.JSONDecodeError as error:
        # A truncated word, number or escape is reported at its start.
        return (
            error.msg.startswith("Unterminated string")
            or error.pos >= _TRUNCATED_WORD.search(text, max(0, len(text) - 64)).start()
        )
    except RecursionError:
        pass
    return False
