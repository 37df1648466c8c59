"""What readers of all families share: text that waits, what was taken of it, and the state that reads on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from engine.tool_calls.reading.pieces import CallPiece
from engine.tool_calls.schemas.tools import ToolSchemas

State = Callable[[list[CallPiece]], bool]
"""Reads on, adds what it finds to the pieces, and returns whether another state may follow at once."""


class SteppingReader(ABC):
    """A `CallReader` (`reading.family`) that goes from state to state; the first is `_head`."""

    def __init__(self, opening: str, tools: ToolSchemas) -> None:
        self.over = False
        self.rest = ""
        self._tools = tools
        self._buffer = ""
        self._closed = False
        self._at_limit = False  # the answer was cut, rather than ended by the model
        self._raw = [opening]  # of the call that is read now
        self._arguments: list[str] = []
        self._why = ""  # the call that is skipped cannot be read
        self._state: State = self._header

    def feed(self, text: str) -> list[CallPiece]:
        self._buffer += text
        return self._read()

    def close(self, *, truncated: bool = False) -> list[CallPiece]:
        self._closed, self._at_limit = True, truncated
        return self._read()

    @abstractmethod
    def _header(self, pieces: list[CallPiece]) -> bool:
        """The state at the beginning of a call."""

    def _read(self) -> list[CallPiece]:
        pieces: list[CallPiece] = []
        while not self.over and self._state(pieces):
            pass
        return pieces

    def _finish(self) -> None:
        self.over = True
        self.rest, self._buffer = self._buffer, ""

    def _pop_text(self, length: int) -> str:
        """So much of the text that waits, which no longer does."""
        text, self._buffer = self._buffer[:length], self._buffer[length:]
        return text

    def _take(self, length: int) -> None:
        """The same, as part of the call."""
        self._raw.append(self._pop_text(length))
