"""Finds marks in a text that arrives in pieces, wherever the pieces are cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator


class MarkerScanner:
    """Splits a stream of text at marks; what may be the beginning of one is held back until it is known.

    The leftmost mark wins, and of several at one place the shortest, so that the result does not depend on
    how the text is cut into pieces.
    """

    def __init__(self, marks: Iterable[str]) -> None:
        ordered = sorted({mark for mark in marks if mark}, key=len)
        whole = "|".join(re.escape(mark) for mark in ordered)
        begun = "|".join(re.escape(mark[:size]) for mark in ordered for size in range(len(mark) - 1, 0, -1))
        self._whole = re.compile(f"(?P<whole>{whole})")
        self._mark = re.compile(f"(?P<whole>{whole})|(?:{begun})\\Z") if begun else self._whole
        self._empty = not ordered
        self._held = ""

    def feed(self, text: str, *, final: bool = False) -> Iterator[tuple[str, str | None]]:
        """Yield `(text, mark)` pairs: the text up to a mark, and the mark; None for the text behind the last.

        With `final`, nothing follows and nothing is held back.

        The caller may stop in between and take the rest with `flush`.
        """
        if self._empty:
            yield text, None
            return
        self._held += text
        pattern = self._whole if final else self._mark
        while found := pattern.search(self._held):
            before, mark = self._held[: found.start()], found.group("whole")
            if mark is None:
                self._held = self._held[found.start() :]
                yield before, None
                return
            self._held = self._held[found.end() :]
            yield before, mark
        rest, self._held = self._held, ""
        yield rest, None

    def flush(self) -> str:
        """Take what is held back, not looked through for marks."""
        held, self._held = self._held, ""
        return held
