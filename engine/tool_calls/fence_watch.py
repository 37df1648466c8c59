"""Watching a code fence for calls in it."""

from __future__ import annotations

from collections.abc import Callable

from engine.tool_calls.call_heads import CallHeads
from engine.tool_calls.call_watches import Watch


class FenceWatch:
    """A code fence with calls in it and nothing else; `within` gives what to watch for at a place in it."""

    def __init__(self, heads: CallHeads, within: Callable[[], Watch]) -> None:
        self.refused = False
        self.length: int | None = None
        self._head = heads.fence
        self._within = within
        self._buffer = ""
        self._taken = 0  # the length of what was read before the buffer
        self._calls_end = 0
        self._watch: Watch | None = None
        self._watched: list[str] = []

    def feed(self, text: str) -> None:
        while text and not self.refused and self.length is None:
            text = self._watching(text) if self._watch else self._looking(text)

    def finish(self) -> None:
        if self._watch is not None:
            self._watch.finish()
            if self._watch.length is not None:
                text = self._called()
                self.feed(text)
        if self.length is None and not self.refused:
            self._end_without_fence()

    def _looking(self, text: str) -> str:
        """Before a call in the fence."""
        self._buffer += text
        if not self._taken:
            found = self._head.match(self._buffer, partial=True)
            self.refused = found is None
            if found is None or found.partial:
                return ""
            self._take(found.end())
        self._take(len(self._buffer) - len(self._buffer.lstrip(" \t\r\n,")))
        if self._calls_end and self._buffer.startswith("```"):
            self.length = self._taken + 3
        elif self._buffer and not (self._calls_end and "```".startswith(self._buffer)):
            self._watch, self._watched = self._within(), []
            text, self._buffer = self._buffer, ""
            return text
        return ""

    def _watching(self, text: str) -> str:
        assert self._watch is not None
        self._watched.append(text)
        self._watch.feed(text)
        if self._watch.refused:
            self._end_without_fence()
        return self._called() if self._watch.length is not None else ""

    def _called(self) -> str:
        """Leave a whole call behind; returns the text behind it."""
        assert self._watch is not None
        length = self._watch.length
        assert length is not None
        text = "".join(self._watched)[length:]
        self._taken += length
        self._calls_end = self._taken
        self._watch = None
        return text

    def _end_without_fence(self) -> None:
        self.refused = not self._calls_end
        self.length = self._calls_end or None

    def _take(self, length: int) -> None:
        self._taken += length
        self._buffer = self._buffer[length:]
