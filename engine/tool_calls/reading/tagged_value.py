"""The value of an argument between tags, up to where it may end."""

from __future__ import annotations

from typing import Literal

from engine.tool_calls.reading.json_extent import JsonExtent

ValueKind = Literal["text", "json", "whole", "nested"]
"""Streamed; JSON, which ends outside of its strings; read as a whole; tags, which end outside of others."""


class TaggedValue:
    """The current argument; `free`: its text may contain anything, ends of calls too."""

    def __init__(self, key: str, kind: ValueKind, free: bool, nested: str = "") -> None:
        self.nested = nested
        self.key = key
        self.kind = kind
        self.free = free
        self._parts: list[str] = []
        self._extent: JsonExtent | None = None
        self._blank = True
        self.after_newline = False  # a line break before the value, of which its end decides

    @property
    def text(self) -> str:
        return "".join(self._parts)

    @property
    def in_string(self) -> bool:
        """Whether the text so far ends within a JSON string, or within a tag of its own."""
        if self.kind == "nested" or (self.nested and self.kind == "whole"):
            text = self.text
            return text.count(f"{self.nested}<") > 2 * text.count(f"{self.nested}</")
        return self._extent is not None and self._extent.in_string

    def add(self, text: str) -> None:
        if self.kind == "json":
            if self._blank and (begin := text.lstrip()[:1]):
                self._blank = False
                self._extent = JsonExtent() if begin in '{["' else None
            if self._extent is not None and not self._extent.done:
                self._extent.feed(text)
        self._parts.append(text)
