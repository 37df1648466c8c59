"""Watching text that may be a call: until it cannot be one, or is whole.

Each watch is fed the text from the place on where it was set up, in any pieces; what it finds depends on the
text alone, not on the pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from engine.tool_calls.call_heads import CallHeads, tag_end
from engine.tool_calls.loose_extent import LooseExtent
from engine.tool_calls.python_calls import python_calls
from engine.tool_calls.schemas import ToolSchemas

_LONGEST_END = 1000  # characters that the end of a call in tags takes at most


class Watch(Protocol):
    """`refused`: it is no call; `length`: how much of the text the call takes, once it is whole."""

    refused: bool
    length: int | None

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


class TagWatch:
    """A call in tags, up to its closing tag."""

    def __init__(self, heads: CallHeads, tools: ToolSchemas) -> None:
        self.refused = False
        self.length: int | None = None
        self._head = heads.tag
        self._tools = tools
        self._end: Any = None
        self._tail: Any = None
        self._window = ""  # the text that the end may still begin in
        self._before = 0  # the length of the text before it

    def feed(self, text: str) -> None:
        self._window += text
        if self._end is None and not self._begin():
            return
        self._look(final=False)

    def finish(self) -> None:
        self.refused = self._end is None
        if self.refused:
            return
        self._look(final=True)
        if self.length is None:
            self.length = self._before + len(self._window)

    def _begin(self) -> bool:
        found = self._head.match(self._window, partial=True)
        self.refused = found is None
        if found is None or found.partial:
            return False
        end = tag_end(found, self._tools)
        if end is None:
            self.length = found.end()
            return False
        self._end, self._tail = end
        return True

    def _look(self, *, final: bool) -> None:
        found = self._end.search(self._window)
        if found is None:
            kept = max(0, len(self._window) - _LONGEST_END)
            if kept > _LONGEST_END:
                self._before += kept
                self._window = self._window[kept:]
            return
        end = found.end()
        if self._tail is not None and (more := self._tail.match(self._window, end, partial=True)):
            if more.partial and not final:
                return
            end = end if more.partial else more.end()
        self.length = self._before + end


class PythonWatch:
    """Calls in Python's syntax that are the whole answer."""

    def __init__(self, heads: CallHeads, tools: ToolSchemas) -> None:
        self.refused = False
        self.length: int | None = None
        self._head = heads.python
        self._tools = tools
        self._parts: list[str] = []
        self._between = ""  # the text behind the last whole call
        self._extent: LooseExtent | None = None

    def feed(self, text: str) -> None:
        self._parts.append(text)
        while text and not self.refused:
            if self._extent is None:
                self._between = (self._between + text).lstrip(" \t\r\n,;")
                found = self._head.match(self._between, partial=True) if self._between else None
                self.refused = bool(self._between) and found is None
                if found is None or found.partial:
                    return
                self._extent, text, self._between = LooseExtent(), self._between, ""
            end = self._extent.feed(text)
            if end is None:
                return
            text, self._extent = text[end:], None

    def finish(self) -> None:
        whole = "".join(self._parts).rstrip()
        self.refused = self._extent is not None or not python_calls(whole, self._tools)
        self.length = None if self.refused else len(whole)


class FirstOf:
    """The first of several watches that does not refuse the text."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self.refused = not watches
        self.length: int | None = None
        self._watches = list(watches)
        self._parts: list[str] = []

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
