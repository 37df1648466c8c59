"""Matches calls behind an opening mark, with the readers of all families that have the mark."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.tool_calls.families.notation_format import PythonicFormat
from engine.tool_calls.reading.family import CallReader, Family
from engine.tool_calls.reading.pieces import CallBegin, CallBroken, CallEnd
from engine.tool_calls.recovery.call_starts import CallStarts
from engine.tool_calls.schemas.tools import ToolSchemas

_UNDECIDED = 500  # characters within which a reader must find its call to become the only one
_SPECIAL = re.compile(r"[|｜]")

Marks = dict[str, list[Family]]
"""Opening marks, each with its families."""


def marks_of(families: Sequence[Family]) -> Marks:
    """The opening marks of these families."""
    marks: Marks = {}
    for family in families:
        for mark in family.openings:
            marks.setdefault(mark, []).append(family)
    return marks


class FamilyCallMatcher:
    """Matches calls behind an opening mark; the first reader that finds a call continues alone."""

    def __init__(self, marks: Marks, starts: CallStarts, tools: ToolSchemas) -> None:
        self.refused = False
        self.length: int | None = None
        self._marks = marks
        self._starts = starts
        self._tools = tools
        self._text = ""  # until the mark and the text behind it are known
        self._opening = ""
        self._followed: list[_FollowedReader] = []
        self._letters = _UNDECIDED  # left for choosing one reader

    @property
    def begun(self) -> bool:
        return any(followed.in_call for followed in self._followed)

    def feed(self, text: str) -> None:
        if self._followed:
            self._read(text)
            return
        self._text += text
        if self._find_opening(final=False):
            self._find_body()

    def finish(self) -> None:
        if not self._followed and self._find_opening(final=True):
            self._find_body()
        self.refused = not self._followed
        if self.refused or self.length is not None:
            return
        for followed in self._followed:
            followed.close()
        self._ended()

    def _find_opening(self, *, final: bool) -> bool:
        if self._opening:
            return True
        text = self._text
        if not final and any(mark.startswith(text) and len(mark) > len(text) for mark in self._marks):
            return False
        self._opening = max(filter(text.startswith, self._marks), key=len, default="")
        self.refused = not self._opening
        return not self.refused

    def _find_body(self) -> None:
        """Start the readers; an opening mark without `|` needs text behind it that may begin a call."""
        body = self._text[len(self._opening) :]
        if not _SPECIAL.search(self._opening):
            called = all(isinstance(family, PythonicFormat) for family in self._marks[self._opening])
            start = self._starts.called if called else self._starts.body
            found = start.match(body, partial=True)
            self.refused = found is None
            if found is None or found.partial:
                return
        families = self._marks[self._opening]
        self._followed = [_FollowedReader(family.reader(self._opening, self._tools)) for family in families]
        self._read(body)

    def _read(self, text: str) -> None:
        # Character by character: which reader finds a call first must not depend on the pieces.
        at = 0
        while at < len(text) and self._letters and not self._ended():
            self._letters -= 1
            for followed in self._followed:
                if followed.feed(text[at]):
                    self._followed, self._letters = [followed], 0
                    break
            at += 1
        # A break leaves one reader; the readers behind it missed this character and are dropped.
        for followed in self._followed:
            followed.feed(text[at:])
        self._ended()

    def _ended(self) -> bool:
        ends = [followed.end for followed in self._followed if followed.end is not None]
        if len(ends) == len(self._followed):
            self.length = len(self._opening) + max(ends)
        return self.length is not None


class _FollowedReader:
    """A reader, and the position where its calls ended."""

    def __init__(self, reader: CallReader) -> None:
        self.end: int | None = None
        self.in_call = False
        self._reader = reader
        self._fed = 0

    def feed(self, text: str) -> bool:
        """Returns whether a call begins."""
        if self.end is not None or not text:
            return False
        pieces = self._reader.feed(text)
        self._fed += len(text)
        if self._reader.over:
            self.end = self._fed - len(self._reader.rest)
        for piece in pieces:
            self.in_call = not isinstance(piece, CallEnd | CallBroken)
        return any(isinstance(piece, CallBegin) for piece in pieces)

    def close(self) -> None:
        if self.end is None:
            self._reader.close()
            self.end = self._fed - len(self._reader.rest)
