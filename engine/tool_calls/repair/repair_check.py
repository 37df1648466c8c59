"""Checks a repaired JSON value against its broken text: every character must be accounted for.

A repair library guesses, and may drop or reshape what it does not parse. Its result counts only if the text
is that value with errors of punctuation: a missing comma, missing quotes around a plain word or on one side
of it, missing brackets at the end.
"""

from __future__ import annotations

import json
import re
from typing import Any

from engine.tool_calls.repair.json_strings import NotLenientJson, may_be_layout, strict_string
from engine.tool_calls.repair.lenient_json import with_count

_SPACE = re.compile(r"\s*")
_STRING = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"|\'([^\'\\]*(?:\\.[^\'\\]*)*)\'', re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?=[\s,}\]])")
_STRICT_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PLAIN = re.compile(r"[\w./:@$~-]+")
_BARE_WORD = re.compile(
    r"(?!(?:nan|infinity|inf|undefined|null|nil|none|true|false)\b)[A-Za-z_./~@][\w./:@$~-]*", re.I
)
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_WORD = re.compile(r"\w+")


class RepairMismatch(ValueError):
    """The text does not say the value; raised by `repairs_between`."""


def repairs_between(text: str, value: dict[str, Any] | list[Any]) -> tuple[str, ...]:
    """The repairs that turn a text into `value`, one sentence for each kind.

    Raises:
        RepairMismatch: the value says something else, or more, or less.
    """
    walk = _Walk(text)
    try:
        walk.value(value)
    except RecursionError:
        raise RepairMismatch("nested too deeply") from None
    return walk.finish()


class _Walk:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._repairs: dict[str, None] = {}
        self._closed = 0
        self._blanks: set[str] = set()  # the white space between colons and certain values
        self._doubtful_blanks: set[str] = set()

    def value(self, value: Any, blank: str | None = None) -> None:
        match value:
            case dict():
                self._sure(blank)
                self._object(value)
            case list():
                self._sure(blank)
                self._array(value)
            case str():
                self._string(value, blank)
            case bool() | None:
                self._sure(blank)
                word = _WORD.match(self._text, self._at)
                if word is None or word[0] not in _WORDS or _WORDS[word[0]] is not value:
                    raise RepairMismatch(f"nothing says {json.dumps(value)}")
                self._at = word.end()
            case _:
                self._sure(blank)
                self._number(value)

    def finish(self) -> tuple[str, ...]:
        if self._text[self._at :].strip():
            raise RepairMismatch("more text follows")
        # A string that begins with a blank cannot be seen if its opening quote is missing.
        if self._doubtful_blanks and self._blanks != self._doubtful_blanks:
            raise RepairMismatch("a string may have begun with a blank")
        if self._closed:
            self._repairs[f"closed {with_count(self._closed, 'open bracket')}"] = None
        return tuple(self._repairs)

    def _object(self, members: dict[str, Any]) -> None:
        self._mark("{")
        for number, (key, value) in enumerate(members.items()):
            if number:
                self._comma()
            self._key(key)
            self._space()
            self._mark(":")
            self.value(value, self._space())
        self._end("}")

    def _array(self, elements: list[Any]) -> None:
        self._mark("[")
        for number, element in enumerate(elements):
            if number:
                self._comma()
            self._space()
            self.value(element)
        self._end("]")

    def _comma(self) -> None:
        self._space()
        if self._text.startswith(",", self._at):
            self._at += 1
        else:
            self._repair("added a comma")

    def _end(self, closer: str) -> None:
        self._space()
        if self._text.startswith(",", self._at):
            self._at += 1
            self._repair("left out a trailing comma")
            self._space()
            if self._at == len(self._text):
                raise RepairMismatch("it is truncated")
        if self._text.startswith(closer, self._at):
            self._at += 1
        elif self._at == len(self._text) and self._text[-1:] in ('"', "'", "}", "]"):
            self._closed += 1
        else:
            raise RepairMismatch(f"{closer!r} is missing")

    def _key(self, key: str) -> None:
        self._space()
        if self._quoted(key):
            return
        if not _PLAIN.fullmatch(key):
            raise RepairMismatch(f"nothing says {key[:20]!r}")
        self._skip_quote()
        self._plain(key)
        self._skip_quote()
        self._repair(f"quoted the key {key!r}")

    def _string(self, value: str, blank: str | None) -> None:
        if self._quoted(value):
            self._sure(blank)
            return
        if not _PLAIN.fullmatch(value):
            raise RepairMismatch(f"nothing says {value[:20]!r}")
        opened = self._skip_quote()
        self._plain(value)
        closed = self._skip_quote()
        follows = self._text[self._at : self._at + 1]
        # A last string without its closing quote is truncated.
        if follows not in (",", "}", "]") or (opened and not closed and follows != ","):
            raise RepairMismatch(f"nothing ends {value[:20]!r}")
        if opened:
            self._sure(blank)
        elif not closed:
            # Blanks around an unquoted word are layout; a number or a constant is not text.
            if not _BARE_WORD.fullmatch(value):
                raise RepairMismatch(f"{value[:20]!r} may be more than a word")
        elif blank is None:
            if self._text[self._at - len(value) - 2].isspace():
                raise RepairMismatch("a string may have begun with a blank")
        elif blank:
            self._doubtful_blanks.add(blank)
        self._repair(f"quoted {value[:40]!r}")

    def _quoted(self, value: str) -> bool:
        found = _STRING.match(self._text, self._at)
        if found is None:
            return False
        double = found[1] is not None
        try:
            text, repairs = strict_string(found[1] if double else found[2], '"' if double else "'")
        except NotLenientJson:
            return False
        if json.loads(text) != value or may_be_layout(found[0][1:-1]):
            return False
        for repair in repairs if double else (*repairs, "put double quotes in place of other ones"):
            self._repair(repair)
        self._at = found.end()
        return True

    def _number(self, value: float) -> None:
        found = _NUMBER.match(self._text, self._at)
        if found is None or not _same_number(found[0], value):
            raise RepairMismatch(f"nothing says {value}")
        if not _STRICT_NUMBER.fullmatch(found[0]):
            self._repair(f"read {found[0]} as {value}")
        self._at = found.end()

    def _plain(self, word: str) -> None:
        if not self._text.startswith(word, self._at):
            raise RepairMismatch(f"nothing says {word[:20]!r}")
        self._at += len(word)

    def _skip_quote(self) -> bool:
        quoted = self._text[self._at : self._at + 1] in ('"', "'")
        self._at += quoted
        return quoted

    def _mark(self, mark: str) -> None:
        if not self._text.startswith(mark, self._at):
            raise RepairMismatch(f"{mark!r} is missing")
        self._at += 1

    def _space(self) -> str:
        found = _SPACE.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        return found[0]

    def _sure(self, blank: str | None) -> None:
        if blank is not None:
            self._blanks.add(blank)

    def _repair(self, repair: str) -> None:
        self._repairs[repair] = None


def _same_number(text: str, value: float) -> bool:
    try:
        return (int(text) if isinstance(value, int) else float(text)) == value
    except ValueError:
        return False
