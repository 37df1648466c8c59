"""Finds the numbers of cited results, such as `[2]`, in text that comes in pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator

_MARK = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")
_BEGUN = re.compile(r"\[[\d\s,]{0,20}$")


class CitationReader:
    """Splits text behind each mark that names results from 1 to `count`."""

    def __init__(self) -> None:
        self.count = 0
        self._held = ""  # may become a mark

    def feed(self, text: str) -> Iterator[tuple[str, list[int]]]:
        """Pieces of text, each with the numbers that stand at its end."""
        text = self._held + text
        self._held = ""
        start = 0
        for found in _MARK.finditer(text):
            numbers = [int(number) for number in found[1].split(",")]
            if all(1 <= number <= self.count for number in numbers):
                yield text[start : found.end()], numbers
                start = found.end()
        rest = text[start:]
        begun = _BEGUN.search(rest)
        if whole := rest[: begun.start()] if begun else rest:
            yield whole, []
        self._held = begun[0] if begun else ""

    def end(self) -> str:
        """The text that was held back: no more of it comes."""
        held, self._held = self._held, ""
        return held
