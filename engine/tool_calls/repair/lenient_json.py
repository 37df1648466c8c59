"""JSON as models write it: read token by token, with repair of errors whose meaning is certain.

Accepted: control characters in strings, trailing commas, single and typographic quotes, the words and keys of
Python and JavaScript, comments, backslashes that escape nothing, unclosed brackets. Everything else, and
whatever has two readings, is refused. A text that ends within a string, or after a comma, a colon or a
number, is truncated: closing it would invent what is missing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from engine.tool_calls.repair.json_strings import NotLenientJson, may_be_layout, strict_string

_TOKEN = re.compile(
    r"""
      (?P<space>[\s\ufeff]+)
    | (?P<comment>//[^\n]*|\#[^\n]*|/\*.*?\*/)
    | (?P<string>"[^"\\]*(?:\\.[^"\\]*)*")
    | (?P<single>'[^'\\]*(?:\\.[^'\\]*)*')
    | (?P<curly>“[^“”"\\]*”)
    | (?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.+-]))
    | (?P<word>[A-Za-z_$][\w$-]*)
    | (?P<mark>[{}\[\]:,])
    """,
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"true": "true", "false": "false", "null": "null", "True": "true", "False": "false", "None": "null"}
_CLOSER = {"{": "}", "[": "]"}


@dataclass(frozen=True, slots=True)
class LenientJson:
    """One value: `text` is strict JSON, with numbers as they were written; `end` is its end in the source.

    `doubtful`: a repair was made that could also be the content of a string with unescaped quotes.
    """

    text: str
    end: int
    repairs: tuple[str, ...]
    doubtful: bool
    closed: bool  # brackets were missing


def read_lenient(source: str, start: int = 0, *, ended: bool = False) -> LenientJson:
    """Read the object or array at `start`; `ended`: a mark shows that it is not truncated.

    Raises:
        NotLenientJson: with the reason.
    """
    return _Reading(source, start, ended).read()


class _Reading:
    def __init__(self, source: str, start: int, ended: bool) -> None:
        self._source = source
        self._at = start
        self._ended = ended
        self._out: list[str] = []
        self._open: list[str] = []
        self._repairs: dict[str, None] = {}
        self._closed = 0
        self._doubtful = False
        self._expect = "value"
        self._comma = False  # a comma was read, its next element not yet
        self._last = ""  # kind of the last token

    def read(self) -> LenientJson:
        while True:
            kind, token = self._next()
            if not kind:
                self._close_all()
                break
            self._take(kind, token)
            self._last = kind
            if self._expect == "comma" and not self._open:
                break
        if self._closed:
            self._repairs[f"closed {with_count(self._closed, 'open bracket')}"] = None
        return LenientJson(
            "".join(self._out), self._at, tuple(self._repairs), self._doubtful, self._closed > 0
        )

    def _next(self) -> tuple[str, str]:
        while self._at < len(self._source):
            found = _TOKEN.match(self._source, self._at)
            if found is None:
                quote = self._source[self._at]
                raise NotLenientJson(
                    "it ends within a string" if quote in "\"'“" else f"{quote!r} is unexpected"
                )
            self._at = found.end()
            kind = found.lastgroup or ""
            if kind == "comment":
                if '"' in found[0]:
                    raise NotLenientJson("what looks like a comment contains quotes")
                self._note("left out a comment", doubtful=True)
            elif kind != "space":
                return kind, found[0]
        return "", ""

    def _take(self, kind: str, token: str) -> None:
        match self._expect:
            case "colon":
                if token != ":":
                    raise NotLenientJson(f"a colon is missing before {token[:20]!r}")
                self._out.append(": ")
                self._expect = "value"
            case "comma":
                if token == ",":
                    self._comma, self._expect = True, "key" if self._open[-1] == "{" else "value"
                elif kind == "mark" and token in "}]":
                    self._close(token)
                else:
                    raise NotLenientJson(f"a comma is missing before {token[:20]!r}")
            case "key" if token == "}":
                self._end_list(token)
            case "key":
                self._separate()
                self._out.append(self._key(kind, token))
                self._expect = "colon"
            case _ if token == "]" and self._open and self._open[-1] == "[":
                self._end_list(token)
            case _:
                self._value(kind, token)

    def _value(self, kind: str, token: str) -> None:
        if not self._open and token not in ("{", "["):
            raise NotLenientJson("it is neither an object nor an array")
        if self._open and self._open[-1] == "[":
            self._separate()
        if token in ("{", "["):
            self._out.append(token)
            self._open.append(token)
            self._expect = "key" if token == "{" else "value"
            return
        self._out.append(self._scalar(kind, token))
        self._expect = "comma"

    def _scalar(self, kind: str, token: str) -> str:
        if kind == "number":
            return token
        if kind in ("string", "single", "curly"):
            if self._open[-1] == "[" and may_be_layout(token[1:-1]):
                raise NotLenientJson("a quote seems to be missing")
            return self._string(kind, token)
        if token not in _WORDS:
            raise NotLenientJson(f"{token[:20]!r} stands where a value is expected")
        if token != _WORDS[token]:
            self._note(f"read {token} as {_WORDS[token]}")
        return _WORDS[token]

    def _key(self, kind: str, token: str) -> str:
        if kind in ("string", "single", "curly"):
            return self._string(kind, token)
        if kind != "word":
            raise NotLenientJson(f"{token[:20]!r} stands where a key is expected")
        self._note(f"quoted the key {token!r}", doubtful=True)
        return json.dumps(token, ensure_ascii=False)

    def _string(self, kind: str, token: str) -> str:
        if kind != "string":
            self._note("put double quotes in place of other ones")
        text, repairs = strict_string(token[1:-1], "'" if kind == "single" else '"')
        for repair in repairs:
            self._note(repair)
        return text

    def _separate(self) -> None:
        if self._comma:
            self._out.append(", ")
        self._comma = False

    def _end_list(self, token: str) -> None:
        if self._comma:
            self._note("left out a trailing comma")
        self._comma = False
        self._close(token)

    def _close(self, token: str) -> None:
        """Read a closing bracket; it also closes the unclosed brackets within."""
        while self._open:
            closer = _CLOSER[self._open.pop()]
            self._out.append(closer)
            self._expect = "comma"
            if closer == token:
                return
            self._closed += 1
        raise NotLenientJson(f"{token!r} closes nothing")

    def _close_all(self) -> None:
        if self._expect != "comma" or (self._last in ("number", "word") and not self._ended):
            raise NotLenientJson("it is truncated")
        while self._open:
            self._closed += 1
            self._out.append(_CLOSER[self._open.pop()])

    def _note(self, repair: str, *, doubtful: bool = False) -> None:
        self._repairs[repair] = None
        self._doubtful = self._doubtful or doubtful


def with_count(number: int, noun: str) -> str:
    """A number with its noun: `1 open bracket`, `2 open brackets`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
