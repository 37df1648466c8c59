"""JSON strings with unescaped quotes: the names in the schema decide where they end.

    {"command": "echo "hi"", "description": "says hi"}

A quote ends its string where another argument of the tool follows, or the end of the object. Where several
readings remain, all are returned and the schema decides. A string that contains what looks like another
argument or element is suspect, and so is one with unpaired quotes: a comma, a colon or a quote may be missing
instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.tool_calls.repair.json_strings import NotLenientJson, strict_string
from engine.tool_calls.schemas.name_matching import squash
from engine.tool_calls.schemas.tools import referenced

_QUOTE = re.compile(r'\\.|"', re.DOTALL)
_ANY_KEY = re.compile(r'"([\w-]{1,200})"?\s*:|(?<![\w-])([\w-]{1,200})"\s*:')
_BORDER = re.compile(r'"\s*,|,\s*"')
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_QUOTED = re.compile(r'"([^"]*)"')
_BETWEEN_QUOTES = re.compile(r'(?<=")\s*([\w-]{1,200})\s*[:=]?\s*(?=")')
_SEPARATOR = re.compile(r"\s+|\s*[,:=].*", re.DOTALL)  # not "", which is frequent in code
_AT_BOTH_EDGES = re.compile(r'".*"', re.DOTALL)
_PAIR_AT_WORD_OR_EDGE = re.compile(r'(?:\A|(?<=\w))""(?!")|(?<!")""(?=\w|\Z)')
_SCALAR = re.compile(r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?=[\s,}\]])")
_SPACE = re.compile(r"\s*")
_KEY = re.compile(r'\s*"([^"\\]{1,200})"\s*:\s*')
_NEXT_KEY = re.compile(r'\s*,\s*"([^"\\]{1,200})"\s*:')
_END_OF_OBJECT = re.compile(r"\s*\}\s*(?:[,}\]]|\Z)")
_END_OF_ELEMENT = re.compile(r"\s*(?:,\s*[\"{\[\d]|\])")
_MAX_TRIES = 400
_MAX_CHARACTERS = 1 << 22  # read by all tries together; takes some tenths of a second
REPAIR = "escaped quotes inside of a string"

_Found = tuple[str, int, bool]  # strict JSON, its end in the source, and whether it is suspect

# Squashed names of an object's arguments: those that may follow, and all. None in an array.
Siblings = tuple[frozenset[str], frozenset[str]]


class TooManyReadings(ValueError):
    """The text has more readings than are worth trying; raised by `readings_with_unescaped_quotes`."""


def readings_with_unescaped_quotes(
    source: str, schema: Any, root: Mapping[str, Any]
) -> list[tuple[str, bool]]:
    """All readings of an object as strict JSON, if quotes within its strings are unescaped.

    Each comes with a flag: a suspect reading shows that there is doubt, and is not a result itself.

    Raises:
        TooManyReadings: there are too many.
    """
    source = source.strip()
    reading = _Reading(source, root)
    try:
        return [
            (text, suspect) for text, end, suspect in reading.value(0, schema, None) if end == len(source)
        ]
    except RecursionError:
        raise TooManyReadings("nested too deeply") from None


class _Reading:
    def __init__(self, source: str, root: Mapping[str, Any]) -> None:
        self._source = source
        self._root = root
        self._tries = 0
        self._letters = 0

    def value(self, at: int, schema: Any, siblings: Siblings | None) -> Iterator[_Found]:
        match self._source[at : at + 1]:
            case "{":
                names = frozenset(squash(name) for name in self._properties(schema))
                for members, end, suspect in self._members(at + 1, schema, (names, names)):
                    yield "{" + members + "}", end, suspect
            case "[":
                items = schema.get("items") if isinstance(schema, dict) else None
                for elements, end, suspect in self._elements(at + 1, items):
                    yield "[" + elements + "]", end, suspect
            case '"':
                yield from self._strings(at + 1, siblings)
            case _:
                if found := _SCALAR.match(self._source, at):
                    yield found[0], found.end(), False

    def _members(self, at: int, schema: Any, siblings: Siblings) -> Iterator[_Found]:
        key = _KEY.match(self._source, at)
        if key is None:
            return
        left = (siblings[0] - {squash(key[1])}, siblings[1])
        for value, end, suspect in self.value(key.end(), self._of_key(schema, key[1]), left):
            end = self._skip(end)
            follows = self._source[end : end + 1]
            if follows == "}":
                yield f'"{key[1]}": {value}', end + 1, suspect
            elif follows == ",":
                for rest, far, more in self._members(end + 1, schema, left):
                    yield f'"{key[1]}": {value}, {rest}', far, suspect or more

    def _elements(self, at: int, items: Any) -> Iterator[_Found]:
        at = self._skip(at)
        if self._source[at : at + 1] == "]":
            yield "", at + 1, False
            return
        for value, end, suspect in self.value(at, items, None):
            end = self._skip(end)
            follows = self._source[end : end + 1]
            if follows == "]":
                yield value, end + 1, suspect
            elif follows == ",":
                for rest, far, more in self._elements(end + 1, items):
                    if rest:
                        yield f"{value}, {rest}", far, suspect or more

    def _strings(self, start: int, siblings: Siblings | None) -> Iterator[_Found]:
        for quote in _QUOTE.finditer(self._source, start):
            if quote[0] != '"':
                continue
            end = quote.end()
            follows = False
            if siblings is None:
                ends = _END_OF_ELEMENT.match(self._source, end) is not None
            else:
                key = _NEXT_KEY.match(self._source, end)
                follows = key is not None and squash(key[1]) in siblings[0]
                ends = follows or _END_OF_OBJECT.match(self._source, end) is not None
            if not ends:
                continue
            self._tries += 1
            self._letters += quote.start() - start
            if self._tries > _MAX_TRIES or self._letters > _MAX_CHARACTERS:
                raise TooManyReadings("there are too many ways to read it")
            body = self._source[start : quote.start()]
            try:
                text, _ = strict_string(body, bare_quotes=True)
            except NotLenientJson:
                pass
            else:
                yield text, end, self._suspect(body, siblings)
            if follows:
                return

    def _suspect(self, body: str, siblings: Siblings | None) -> bool:
        body = _ESCAPE.sub("..", body)
        if siblings is None:
            return _BORDER.search(body) is not None or _quotes_do_not_pair(body)
        words = [whole or half for whole, half in _ANY_KEY.findall(body)] + _BETWEEN_QUOTES.findall(body)
        return any(squash(word) in siblings[1] for word in words) or _quotes_do_not_pair(body)

    def _of_key(self, schema: Any, key: str) -> Any:
        properties = self._properties(schema)
        by_squashed = {squash(name): part for name, part in properties.items()}
        return properties.get(key, by_squashed.get(squash(key)))

    def _properties(self, schema: Any) -> dict[str, Any]:
        if isinstance(schema, dict) and isinstance(reference := schema.get("$ref"), str):
            schema = referenced(reference, self._root)
        properties = schema.get("properties") if isinstance(schema, dict) else None
        return properties if isinstance(properties, dict) else {}

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self._source, at)
        assert found is not None
        return found.end()


def _quotes_do_not_pair(body: str) -> bool:
    """Whether the quotes within a string, its escapes removed, seem to be delimiters rather than content.

    A text quotes what is between its first quote and its second, its third and its fourth. Where a colon or a
    comma is missing between two strings, the separator is there: `a", "b" "c`. Quotes at both edges, or two
    at one edge, may be the string's own, written twice or, as in Python, three times.
    """
    return (
        body.count('"') % 2 == 1
        or _AT_BOTH_EDGES.fullmatch(body) is not None
        or _PAIR_AT_WORD_OR_EDGE.search(body) is not None
        or any(_SEPARATOR.fullmatch(quoted) for quoted in _QUOTED.findall(body))
    )
