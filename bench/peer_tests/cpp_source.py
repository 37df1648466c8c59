"""The expressions of a C++ source that tests are made of: strings, lists in braces, chains of methods."""

from __future__ import annotations

import re
from collections.abc import Iterator

_RAW = re.compile(r'R"([^()\\\s]{0,16})\((.*?)\)\1"', re.DOTALL)
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_LAYOUT = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_METHOD = re.compile(r"\.\s*(\w+)\s*\(")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def _skip(text: str, at: int) -> int:
    """Behind white space and comments."""
    found = _LAYOUT.match(text, at)
    return found.end() if found else at


def _string(text: str, at: int) -> tuple[str, int] | None:
    if (raw := _RAW.match(text, at)) is not None:
        return raw[2], raw.end()
    if (found := _STRING.match(text, at)) is not None:
        return _ESCAPE.sub(lambda one: _unescaped(one[1]), found[1]), found.end()
    return None


def _unescaped(letter: str) -> str:
    return chr(int(letter[1:], 16)) if letter[0] == "x" else _NAMED.get(letter, letter)


def literal(expression: str) -> str | None:
    """The text of adjacent string literals; None if the expression has anything else."""
    at, parts = _skip(expression, 0), []
    while at < len(expression):
        found = _string(expression, at)
        if found is None:
            return None
        parts.append(found[0])
        at = _skip(expression, found[1])
    return "".join(parts) if parts else None


def closing(text: str, at: int) -> int:
    """The place of the bracket that closes the one before `at`; the end of the text if none does."""
    depth = 1
    while at < len(text):
        if (found := _string(text, at)) is not None:
            at = found[1]
            continue
        if (layout := _LAYOUT.match(text, at)) is not None:
            at = layout.end()
            continue
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth == 0:
            return at
        at += 1
    return at


def parts(text: str) -> list[str]:
    """The members of a list, between its commas."""
    found, begin, at = [], 0, 0
    while at < len(text):
        if (string := _string(text, at)) is not None:
            at = string[1]
            continue
        if (layout := _LAYOUT.match(text, at)) is not None:
            at = layout.end()
            continue
        if text[at] in "([{":
            at = closing(text, at + 1)
        elif text[at] == ",":
            found.append(text[begin:at])
            begin = at + 1
        at += 1
    found.append(text[begin:])
    return [bare for part in found if (bare := _bare(part))]


def _bare(part: str) -> str:
    return part[_skip(part, 0) :].strip()


def braced(expression: str) -> list[str] | None:
    """The members of a list in braces, as `{ a, b }` or `Type{ a, b }`; None if it is none."""
    found = re.match(r"(?:[\w:<>]+\s*)?\{", expression)
    if found is None:
        return None
    return parts(expression[found.end() : closing(expression, found.end())])


def chain(text: str, at: int) -> Iterator[tuple[str, str]]:
    """The methods of a chain with the text of their arguments."""
    while (found := _METHOD.match(text, _skip(text, at))) is not None:
        end = closing(text, found.end())
        yield found[1], text[found.end() : end]
        at = end + 1
