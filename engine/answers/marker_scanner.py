"""Finds marks in a text that arrives in pieces, wherever they are split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class MarkerScanner:
    """Splits a stream of text at marks; what may be the beginning of one is buffered until it is known.

    The leftmost mark wins, and of several at one place the shortest, so that the result does not depend on
    how the text is split into pieces.
    """

    def __init__(self, marks: Iterable[str]) -> None:
        self._marks = sorted({mark for mark in marks if mark}, key=len)
        self._first_letters = frozenset(mark[0] for mark in self._marks)
        self._buffer = ""

    def feed(self, text: str, *, final: bool = False) -> Iterator[tuple[str, str | None]]:
        """Yield `(text, mark)` pairs: the text up to a mark, and the mark; None for the text behind the last.

        With `final`, nothing follows and nothing is buffered.

        The caller may stop in between and take the rest with `flush`.
        """
        self._buffer += text
        while True:
            buffered = self._buffer
            if self._first_letters.isdisjoint(buffered):  # most pieces of an answer
                self._buffer = ""
                yield buffered, None
                return
            end, mark = self._first(buffered)
            begun = end if final else self._begun(buffered, end)
            if mark is None or begun < end:
                self._buffer = buffered[begun:]
                yield buffered[:begun], None
                return
            self._buffer = buffered[end + len(mark) :]
            yield buffered[:end], mark

    def flush(self) -> str:
        """Take what is buffered, not looked through for marks."""
        buffered, self._buffer = self._buffer, ""
        return buffered

    def _first(self, text: str) -> tuple[int, str | None]:
        """Where the leftmost mark is, of several there the shortest; without one, the end of the text."""
        # Not one pattern of all marks: it would compare a long mark anew at each place of a text like it.
        found, first = len(text), None
        for mark in self._marks:
            # A mark that begins no earlier than the first so far is no better than that one.
            at = text.find(mark, 0, found + len(mark) - 1)
            if at >= 0:
                found, first = at, mark
        return found, first

    def _begun(self, text: str, end: int) -> int:
        """The first place before `end` from which all of the text is the beginning of a mark, else `end`."""
        # Not one pattern of all beginnings: it would grow with the square of a mark, and clients send marks.
        for at in range(max(0, len(text) - len(self._marks[-1]) + 1), end):
            if text[at] in self._first_letters:
                rest = text[at:]
                if any(mark.startswith(rest) for mark in self._marks if len(mark) > len(rest)):
                    return at
        return end
