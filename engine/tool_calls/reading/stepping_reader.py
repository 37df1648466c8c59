"""The base of all readers: the unread text, the call's raw text, and the current state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from engine.tool_calls.reading.pieces import CallArguments, CallPiece
from engine.tool_calls.schemas.tools import ToolSchemas

State = Callable[[list[CallPiece]], bool]
"""Reads text, adds to the pieces, and returns whether the next state can run at once."""


class SteppingReader(ABC):
    """A `CallReader` (`reading.family`) as a state machine; the first state is `_header`."""

    def __init__(self, opening: str, tools: ToolSchemas) -> None:
        self.over = False
        self.rest = ""
        self._tools = tools
        self._buffer = ""
        self._closed = False
        self._at_limit = False  # the answer is truncated; the model did not end it
        self._raw = [opening]  # of the current call
        self._arguments: list[str] = []
        self._why = ""  # the skipped call cannot be read
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

    def _emit(self, text: str, pieces: list[CallPiece]) -> None:
        """Add to the arguments."""
        if text:
            self._arguments.append(text)
            pieces.append(CallArguments(text))

    def _pop_text(self, length: int) -> str:
        """Remove and return the first `length` characters of the unread text."""
        text, self._buffer = self._buffer[:length], self._buffer[length:]
        return text

    def _take(self, length: int) -> None:
        """Move the first `length` characters of the unread text to the call."""
        self._raw.append(self._pop_text(length))
