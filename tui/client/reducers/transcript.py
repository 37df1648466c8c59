"""The text of one answer while it arrives: pieces in order, bounded, read from any number on."""

from __future__ import annotations

from collections import deque
from typing import Literal, NamedTuple

PieceKind = Literal["text", "thinking", "tool", "call", "error"]
LIMIT_CHARS = 400_000


class TranscriptPiece(NamedTuple):
    """Some text of one kind: `tool` is a call being written, `call` a finished one, `error` how it ended."""

    kind: PieceKind
    text: str


class Transcript:
    """Append-only, with a bounded memory: the oldest pieces go when it holds more than `limit` characters."""

    def __init__(self, limit: int = LIMIT_CHARS) -> None:
        self._pieces: deque[TranscriptPiece] = deque()
        self._limit = limit
        self._chars = 0
        self.dropped = 0  # pieces that were forgotten
        self.rewritten = 0  # grows when pieces that were read already were taken back

    @property
    def end(self) -> int:
        """The number of pieces so far, forgotten ones included."""
        return self.dropped + len(self._pieces)

    def append(self, kind: PieceKind, text: str) -> None:
        """Add `text`; an empty one is nothing. A finished call takes the place of its text."""
        if not text:
            return
        while kind == "call" and self._pieces and self._pieces[-1].kind == "tool":
            self._chars -= len(self._pieces.pop().text)
            self.rewritten += 1
        self._pieces.append(TranscriptPiece(kind, text))
        self._chars += len(text)
        while self._chars > self._limit and len(self._pieces) > 1:
            self._chars -= len(self._pieces.popleft().text)
            self.dropped += 1

    def since(self, number: int) -> list[TranscriptPiece]:
        """The pieces from `number` on, as far as they are still held."""
        skip = max(0, number - self.dropped)
        if skip >= len(self._pieces):
            return []
        return [self._pieces[index] for index in range(skip, len(self._pieces))]
