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
    tool: str = ""  # whose arguments the text of a `tool` is a piece of; empty: its name is in the text
    call: str = ""  # the id of a finished call


class Transcript:
    """Append-only, with a bounded memory: the oldest pieces go when it holds more than `limit` characters."""

    def __init__(self, limit: int = LIMIT_CHARS) -> None:
        self._pieces: deque[TranscriptPiece] = deque()
        self._limit = limit
        self._chars = 0
        self.dropped = 0  # pieces that were forgotten

    @property
    def end(self) -> int:
        """The number of pieces so far, forgotten ones included."""
        return self.dropped + len(self._pieces)

    def append(self, piece: TranscriptPiece) -> None:
        """Add a piece; one without text is nothing.

        A finished call takes the place of its text, and its arguments that of the marks before them.
        """
        if not piece.text:
            return
        last = self._pieces[-1] if self._pieces else piece
        begins = piece.kind == "tool" and piece.tool and last.kind == "tool" and not last.tool
        for _ in self.draft() if piece.kind == "call" or begins else ():
            self._chars -= len(self._pieces.pop().text)
        self._pieces.append(piece)
        self._chars += len(piece.text)
        while self._chars > self._limit and len(self._pieces) > 1:
            self._chars -= len(self._pieces.popleft().text)
            self.dropped += 1

    def since(self, number: int) -> list[TranscriptPiece]:
        """The pieces from `number` on, as far as they are still held; those of `draft` may go."""
        skip = max(0, number - self.dropped)
        if skip >= len(self._pieces):
            return []
        return [self._pieces[index] for index in range(skip, len(self._pieces))]

    def draft(self) -> list[TranscriptPiece]:
        """The pieces that it ends with of a call that is being written."""
        run: list[TranscriptPiece] = []
        for piece in reversed(self._pieces):
            if piece.kind != "tool" or (run and piece.tool != run[0].tool):
                break
            run.append(piece)
        return run[::-1]
