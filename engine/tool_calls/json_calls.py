"""Calls whose arguments stand as one JSON object between marks: Hermes, Mistral, DeepSeek, Kimi, harmony."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from engine.tool_calls.json_extent import JsonExtent
from engine.tool_calls.pieces import CallArguments, CallBegin, CallBroken, CallEnd, CallPiece
from engine.tool_calls.schemas import ToolSchemas, parse_json

Pattern = Any  # a compiled pattern of the `regex` package, which can tell a match that is still possible


@dataclass(frozen=True, slots=True)
class JsonSyntax:
    """What stands around the arguments of calls behind one opening mark.

    `head` leads to the arguments and names the tool in its group `name`; `tail` ends one call. `more` leads
    to a further call in the same section and `end` ends the section; without them a section is one call.
    `end_marks` are the texts at which a call that cannot be read is given up.
    """

    head: Pattern
    tail: Pattern
    more: Pattern | None = None
    end: Pattern | None = None
    end_marks: tuple[str, ...] = ()


class JsonCallReader:
    """Reads the calls of one section; see `engine.tool_calls.family.CallReader`."""

    def __init__(self, syntax: JsonSyntax, opening: str, tools: ToolSchemas) -> None:
        self.over = False
        self.rest = ""
        self._syntax = syntax
        self._tools = tools
        self._buffer = ""
        self._closed = False
        self._raw = [opening]  # of the call that is read now
        self._name = ""
        self._arguments: list[str] = []
        self._extent = JsonExtent()
        self._why = ""  # the call that is skipped cannot be read
        self._state: Callable[[list[CallPiece]], bool] = self._head

    def feed(self, text: str) -> list[CallPiece]:
        self._buffer += text
        return self._read()

    def close(self) -> list[CallPiece]:
        self._closed = True
        return self._read()

    def _read(self) -> list[CallPiece]:
        pieces: list[CallPiece] = []
        while not self.over and self._state(pieces):
            pass
        return pieces

    # States; each returns whether another may follow at once

    def _head(self, pieces: list[CallPiece]) -> bool:
        found = self._match(self._syntax.head)
        if found is None:
            return self._skip("it does not begin as a call does")
        if found.partial:
            return self._skip("it was cut") if self._closed else False
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
                return self._skip("its arguments are no JSON object")
        taken = self._extent.feed(self._buffer)
        if taken:
            self._arguments.append(self._buffer[:taken])
            pieces.append(CallArguments(self._buffer[:taken]))
            self._take(taken)
        if self._extent.done:
            self._state = self._tail
            return True
        return self._skip("it was cut") if self._closed else False

    def _tail(self, pieces: list[CallPiece]) -> bool:
        found = self._match(self._syntax.tail)
        if found is None:
            return self._skip("more follows its arguments")
        if found.partial and not self._closed:
            return False
        self._take(found.end())
        self._end_call(pieces)
        self._state = self._between
        return True

    def _between(self, pieces: list[CallPiece]) -> bool:
        """Behind a call: another one, the end of the section, or text."""
        waiting = False
        for pattern, ends in ((self._syntax.end, True), (self._syntax.more, False)):
            found = self._match(pattern) if pattern is not None else None
            if found is not None and not found.partial:
                self._take(found.end())
                if ends:
                    self._finish()
                else:
                    self._state = self._head
                return not ends
            waiting = waiting or found is not None
        if not waiting or self._closed:
            self._finish()
        return False

    def _skipped(self, pieces: list[CallPiece]) -> bool:
        """In a call that cannot be read: look for the mark that ends it."""
        text = "".join(self._raw) + self._buffer
        for end in _ends(text, self._syntax.end_marks):
            if self._closed or not _ends_in_string(text[: end.start()]):
                self._buffer = text[end.end() :]
                self._raw = [text[: end.end()]]
                self._give_up(pieces)
                self._state = self._between
                return True
        if self._closed:
            self._raw, self._buffer = [text], ""
            self._give_up(pieces)
            self._finish()
        return False

    def _skip(self, why: str) -> bool:
        self._why = why
        self._state = self._skipped
        return True

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

    def _finish(self) -> None:
        self.over = True
        self.rest, self._buffer = self._buffer, ""

    def _match(self, pattern: Pattern) -> Any:
        return pattern.match(self._buffer, partial=True)

    def _take(self, length: int) -> None:
        self._raw.append(self._buffer[:length])
        self._buffer = self._buffer[length:]


def name_pattern(names: Sequence[str]) -> str:
    """A pattern for a tool's name, group `name`; of an offered tool or of any other."""
    return "(?P<name>" + "|".join([*(regex.escape(name) for name in names), r"[\w.:/-]+"]) + ")"


def _ends(text: str, marks: Sequence[str]) -> list[Any]:
    if not marks:
        return []
    return list(regex.finditer("|".join(regex.escape(mark) for mark in marks), text))


def _ends_in_string(text: str) -> bool:
    """Whether the JSON that begins in `text` is inside of a string at its end."""
    start = text.find("{")
    if start < 0:
        return False
    extent = JsonExtent()
    extent.feed(text[start:])
    return extent.in_string and not extent.done
