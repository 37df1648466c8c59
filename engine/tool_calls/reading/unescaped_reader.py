"""The base of readers whose strings are not escaped, so that the end of a call may be a string's content.

Such an end is kept until it is certain: text follows it and then another end of a string with valid structure
behind it, and the first end was content; or the next call begins, or the answer ends, and it was the end.
"""

from __future__ import annotations

from engine.tool_calls.reading.pieces import CallBroken, CallPiece
from engine.tool_calls.reading.stepping_reader import State, SteppingReader
from engine.tool_calls.schemas.tools import ToolSchemas


class UnescapedReader(SteppingReader):
    """Keeps an uncertain end and the text behind it."""

    def __init__(self, opening: str, tools: ToolSchemas) -> None:
        super().__init__(opening, tools)
        self._end = ""  # an end of the call that may still be content
        self._text_behind: list[str] = []  # the text behind it
        self._only_space_behind = True

    def _broken(self, pieces: list[CallPiece]) -> bool:
        """The state in a call that cannot be read."""
        raise NotImplementedError

    def _keep_end(self, length: int, then: State) -> None:
        """What comes next seems to end the call."""
        self._end, self._text_behind, self._only_space_behind = self._pop_text(length), [], True
        self._state = then

    def _keep_behind(self, length: int) -> None:
        text = self._pop_text(length)
        self._text_behind.append(text)
        self._only_space_behind = self._only_space_behind and not text.strip()

    def _kept(self) -> str:
        """The kept end with the text behind it, for a string that goes on."""
        kept, self._end, self._text_behind = self._end + "".join(self._text_behind), "", []
        return kept

    def _end_there(self) -> None:
        """It was the end: the text behind it is unread again."""
        self._raw.append(self._end)
        self._buffer = "".join(self._text_behind) + self._buffer

    def _skip(self, why: str) -> bool:
        self._why = why
        self._state = self._broken
        return True

    def _give_up(self, pieces: list[CallPiece]) -> bool:
        pieces.append(CallBroken("".join(self._raw), self._why))
        self._raw = []
        self._finish()
        return False
