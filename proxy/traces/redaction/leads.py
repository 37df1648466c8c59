"""Where literals stand in a text: what is found so costs a fraction of the search for an expression."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WINDOW = 1 << 16  # characters: a hostile text of nothing but literals has a list of places for each, not one


def places(text: str, literals: tuple[str, ...]) -> Iterator[int]:
    """Where one of the literals begins, in order."""
    present = [literal for literal in literals if literal in text]
    for begin in range(0, len(text) if present else 0, _WINDOW):
        found = {at for literal in present for at in _within(text, literal, begin)}
        yield from sorted(found)


_RUN = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{20}")


def long_places(text: str, literals: tuple[str, ...]) -> Iterator[int]:
    """Where one of the literals begins a word of 20 letters, digits, dashes and underscores, in order.

    Such words are few: for many literals it is much faster than to look for each.
    """
    for word in _RUN.finditer(text):
        begin = word.start()
        if begin and text[begin - 1] == "\\":  # the letter belongs to an escape, as of a line's end
            begin += 1
        if text.startswith(literals, begin):
            yield begin


def matches(pattern: re.Pattern[str], text: str, literals: tuple[str, ...]) -> Iterator[re.Match[str]]:
    """What of the text matches, for a pattern of which each match begins with one of the literals."""
    return matches_at(pattern, text, places(text, literals))


def matches_at(pattern: re.Pattern[str], text: str, begins: Iterator[int]) -> Iterator[re.Match[str]]:
    """What of the text matches at one of these places and does not lie in the match before it."""
    end = 0
    for begin in begins:
        if begin >= end and (found := pattern.match(text, begin)):
            end = found.end()
            yield found


def _within(text: str, literal: str, begin: int) -> Iterator[int]:
    end = begin + _WINDOW + len(literal) - 1
    at = text.find(literal, begin, end)
    while at >= 0:
        yield at
        at = text.find(literal, at + 1, end)
