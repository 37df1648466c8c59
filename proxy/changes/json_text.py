"""Changes one value in the text of a JSON object, and leaves every other sign of it as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")
_LINE_START = re.compile(r"(?:^|\n)([ \t]*)$")  # up to here a line has blanks alone
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class _Member:
    """A key and its value, by their places in the text."""

    key: str
    start: int
    value: int
    end: int


def with_value(text: str, keys: Sequence[str], value: Any) -> str:
    """`text`, a JSON object, with `value` at a path of keys, or without it where `value` is None.

    Sections on the way are made, and taken out where they become empty. Where a key stands twice, its last
    value counts. What is on the way and no section has to be refused before.
    """
    first = _after_space(text, 0)
    if value is None:
        while (found := _path_to(text, first, keys)) is not None:
            text = _without(text, [first, *(member.value for member in found[:-1])], found)
        return text
    at, rest = first, list(keys)
    while rest:
        member = _last(text, at, rest[0])
        if member is None:
            return _inserted(text, at, rest, value)
        rest.pop(0)
        if not rest:
            return text[: member.value] + _dumped(value) + text[member.end :]
        at = member.value
    return text


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _members(text: str, opening: int) -> Iterator[_Member]:
    """The members of the object whose `{` stands at `opening`."""
    at = _after_space(text, opening + 1)
    while text[at] == '"':
        key, end = _DECODER.raw_decode(text, at)
        value = _after_space(text, _after_space(text, end) + 1)  # behind the colon
        _, end = _DECODER.raw_decode(text, value)
        yield _Member(key, at, value, end)
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)


def _last(text: str, opening: int, key: str) -> _Member | None:
    return next((one for one in reversed(list(_members(text, opening))) if one.key == key), None)


def _path_to(text: str, opening: int, keys: Sequence[str]) -> list[_Member] | None:
    """The members that lead to a value, if it is there."""
    found: list[_Member] = []
    for key in keys:
        member = _last(text, found[-1].value if found else opening, key)
        if member is None:
            return None
        found.append(member)
    return found


def _without(text: str, openings: Sequence[int], found: Sequence[_Member]) -> str:
    """The text without the last member, and without the sections that it was alone in."""
    for opening, member in reversed(list(zip(openings, found, strict=True))):
        members = list(_members(text, opening))
        place = members.index(member)
        if len(members) == 1:
            if opening != openings[0]:
                continue  # the section goes, too
            return text[: opening + 1] + text[_after_space(text, member.end) :]
        if place:
            return text[: members[place - 1].end] + text[member.end :]
        return text[: member.start] + text[members[1].start :]
    return text


def _inserted(text: str, opening: int, keys: Sequence[str], value: Any) -> str:
    """The text with another member at the end of an object, written as the members before it are."""
    for key in reversed(keys[1:]):
        value = {key: value}
    members = list(_members(text, opening))
    newline = "\r\n" if "\r\n" in text else "\n"
    unit = _indent_unit(text)
    if members:
        own = _LINE_START.search(text[: members[-1].start])
        if own is None:  # all on one line
            return f"{text[: members[-1].end]}, {_member(keys[0], value)}{text[members[-1].end :]}"
        written = _member(keys[0], value, own[1], unit, newline)
        return f"{text[: members[-1].end]},{newline}{own[1]}{written}{text[members[-1].end :]}"
    line = text[:opening].rpartition("\n")[2]
    outer = line[: len(line) - len(line.lstrip(" \t"))]
    written = _member(keys[0], value, outer + unit, unit, newline)
    closing = text[_after_space(text, opening + 1) :]
    return f"{text[: opening + 1]}{newline}{outer}{unit}{written}{newline}{outer}{closing}"


def _indent_unit(text: str) -> str:
    found = re.search(r"^([ \t]+)\"", text, re.MULTILINE)
    return found[1] if found else "  "


def _member(key: str, value: Any, indent: str = "", unit: str = "", newline: str = "") -> str:
    """A key and its value; with a `newline`, sections below it have lines of their own."""
    written = f"{_dumped(key)}: {_dumped(value, unit if newline else None)}"
    return written.replace("\n", newline + indent)  # on one line it has none


def _dumped(value: Any, indent: str | None = None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False)
