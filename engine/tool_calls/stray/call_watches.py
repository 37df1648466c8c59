"""Watching text that may be a call: until it cannot be one, or is whole.

Each watch is fed the text from the place on where it was set up, in any pieces; what it finds depends on the
text alone, not on the pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.tool_calls.recovery.call_heads import CallHeads
from engine.tool_calls.recovery.loose_extent import LooseExtent


class Watch(Protocol):
    """`refused`: it is no call; `length`: how much of the text the call takes, once it is whole.

    `begun`: a call has begun in it and has not ended.
    """

    refused: bool
    length: int | None

    @property
    def begun(self) -> bool: ...

    def feed(self, text: str) -> None:
        """Take more text; not to be called once refused or whole."""
        ...

    def finish(self) -> None:
        """No more text follows; sets `refused` or `length`."""
        ...


class JsonWatch:
    """JSON that begins like a call, up to its closing bracket."""

    def __init__(self, heads: CallHeads) -> None:
        self.refused = False
        self.length: int | None = None
        self._head = heads.json
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
            found = self._head.match(self._text, partial=True)
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


class FirstOf:
    """The first of several watches that does not refuse the text."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self.refused = not watches
        self.length: int | None = None
        self._watches = list(watches)
        self._parts: list[str] = []

    @property
    def begun(self) -> bool:
        return self._watches[0].begun

    def feed(self, text: str) -> None:
        self._parts.append(text)
        self._watches[0].feed(text)
        self._settle(final=False)

    def finish(self) -> None:
        self._watches[0].finish()
        self._settle(final=True)

    def _settle(self, *, final: bool) -> None:
        while self._watches[0].refused and len(self._watches) > 1:
            del self._watches[0]
            first = self._watches[0]
            first.feed("".join(self._parts))
            if final and not first.refused and first.length is None:
                first.finish()
        self.refused, self.length = self._watches[0].refused, self._watches[0].length
