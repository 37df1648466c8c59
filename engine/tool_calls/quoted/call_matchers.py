"""Match text that may be a call, until it cannot be one or is whole.

A matcher is fed the text from its own start position. Its result does not depend on how the text was split.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.tool_calls.reading.json_calls import Pattern
from engine.tool_calls.recovery.loose_extent import LooseExtent


class CallMatcher(Protocol):
    """`refused`: the text is no call; `length`: the length of the call in the text, once it is whole.

    `begun`: a call has begun and has not ended.
    """

    refused: bool
    length: int | None

    @property
    def begun(self) -> bool: ...

    def feed(self, text: str) -> None:
        """Take more text; not to be called after `refused` or `length` is set."""
        ...

    def finish(self) -> None:
        """End the text; sets `refused` or `length`."""
        ...


class BareCallMatcher:
    """Matches a text that begins as a call, up to its closing bracket; `start` is its beginning."""

    def __init__(self, start: Pattern) -> None:
        self.refused = False
        self.length: int | None = None
        self._start = start
        self._found = False
        self._text = ""
        self._seen = 0
        self._extent = LooseExtent()

    @property
    def begun(self) -> bool:
        return self._found

    def feed(self, text: str) -> None:
        if not self._found:
            self._text += text
            found = self._start.match(self._text, partial=True)
            if found is None:
                self.refused = True
            if found is None or found.partial:
                return
            self._found, text = True, self._text
        end = self._extent.feed(text)
        if end is not None:
            self.length = self._seen + end
        self._seen += len(text)

    def finish(self) -> None:
        self.refused = not self._found
        self.length = None if self.refused else self._seen


class FirstMatch:
    """The first of several matchers that does not refuse the text."""

    def __init__(self, matchers: Sequence[CallMatcher]) -> None:
        self.refused = not matchers
        self.length: int | None = None
        self._matchers = list(matchers)
        self._parts: list[str] = []

    @property
    def begun(self) -> bool:
        return self._matchers[0].begun

    def feed(self, text: str) -> None:
        self._parts.append(text)
        self._matchers[0].feed(text)
        self._settle(final=False)

    def finish(self) -> None:
        self._matchers[0].finish()
        self._settle(final=True)

    def _settle(self, *, final: bool) -> None:
        while self._matchers[0].refused and len(self._matchers) > 1:
            del self._matchers[0]
            first = self._matchers[0]
            first.feed("".join(self._parts))
            if final and not first.refused and first.length is None:
                first.finish()
        self.refused, self.length = self._matchers[0].refused, self._matchers[0].length
