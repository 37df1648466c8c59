"""Marks of thinking in a text that comes in pieces: which open it, which end it, which are only mentioned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from engine.tool_calls.reading.mark_search import begun
from engine.tool_calls.stray.shown_text import ShownText
from engine.tool_calls.stray.thinking_marks import ENDS, THINKING_MARKS, is_tag

# A mark that is a word of a sentence has one of these on either side.
_BEFORE_WORDS = frozenset(" (\"'*_/-")
_BEHIND_WORDS = frozenset(" \t.,;:!?)'\"`*_/-")

Meaning = Literal["opened", "over", "again", "mentioned"]


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class ThoughtOver:
    """Thinking ends here that no mark has opened: all text before it was thinking, unless there is none."""

    text_before: bool


class ThoughtMarks:
    """Follows one answer's thinking; white space at its borders is layout and is left out.

    A mark that looks like markup opens thinking at the beginning of a line or before a line break. Elsewhere
    it is mentioned: up to its end, or to the end of the paragraph, nothing is a call. An end that nothing has
    opened counts once, unless it is followed as words in a sentence are.
    """

    def __init__(self) -> None:
        self.inside = False
        self.first_letters = {mark[0] for mark in (*THINKING_MARKS, *ENDS)}
        self._ends: tuple[str, ...] = ()
        self._mentioned: tuple[str, ...] = ()  # the ends of a mark that was mentioned
        self._paragraph = 0  # in which it was
        self._thought = False  # there was thinking already
        self._space = ""  # white space that counts only if more thinking follows
        self._at_edge = True
        self._found: tuple[Meaning, str] = ("mentioned", "")

    def at(self, text: str, shown: ShownText, *, final: bool) -> int | None:
        """The length of a mark that `text` begins with, 0 if there is none; None: the next text tells."""
        if shown.place:
            return 0
        marks = self._mentioned if self.mentioned(shown) else (*THINKING_MARKS, *ENDS)
        mark = max((mark for mark in marks if text.startswith(mark)), key=len, default="")
        if not final and any(len(other) > len(text) and other.startswith(text) for other in marks):
            return None
        if not mark:
            return 0
        behind = text[len(mark) : len(mark) + 1]
        if is_tag(mark) and not behind and not final and not self._mentioned:
            return None
        self._found = self._meaning(mark, behind, shown), mark
        self._paragraph = shown.paragraph
        return len(mark)

    def take(self) -> Meaning:
        """Pass the mark that `at` has found."""
        meaning, mark = self._found
        self._mentioned = THINKING_MARKS[mark] if meaning == "mentioned" and mark in THINKING_MARKS else ()
        if meaning == "opened":
            self.inside, self._thought = True, True
            self._ends, self._space, self._at_edge = THINKING_MARKS[mark], "", True
        self._thought = self._thought or meaning == "over"
        return meaning

    def mentioned(self, shown: ShownText) -> bool:
        """Whether a mark was mentioned in this paragraph."""
        if self._mentioned and shown.paragraph != self._paragraph:
            self._mentioned = ()
        return bool(self._mentioned)

    def read(self, text: str, out: list[Any], *, final: bool) -> str:
        """Take thinking from `text`; returns the rest; behind its end it is no longer `inside`."""
        places = [(text.find(end), -len(end)) for end in self._ends if end in text]
        if not places:
            kept = len(text) if final else begun(text, self._ends)
            self._think(text[:kept], out)
            return text[kept:]
        at, length = min(places)
        if not final and any(len(end) > len(text) - at and end.startswith(text[at:]) for end in self._ends):
            self._think(text[:at], out)
            return text[at:]
        self._think(text[:at], out)
        self.inside, self._space = False, ""
        return text[at - length :]

    def _meaning(self, mark: str, behind: str, shown: ShownText) -> Meaning:
        if self._mentioned:
            return "mentioned"
        if mark in THINKING_MARKS:
            opens = not is_tag(mark) or shown.line_start or behind in ("", "\n", "\r")
            return "opened" if opens else "mentioned"
        if shown.said_nothing:
            return "again"
        ends = not is_tag(mark) or not (behind in _BEHIND_WORDS and shown.last_letter in _BEFORE_WORDS)
        return "over" if ends and not self._thought else "mentioned"

    def _think(self, text: str, out: list[Any]) -> None:
        text = self._space + text
        if self._at_edge:
            text = text.lstrip()
        said = text.rstrip()
        self._space = text[len(said) :]
        if said:
            self._at_edge = False
            out.append(Thought(said))
