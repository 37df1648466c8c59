"""Thinking marks in streamed text: which open a thought, which end it, and which are only mentioned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from engine.tool_calls.quoted.markdown_context import MarkdownContext
from engine.tool_calls.quoted.thinking_marks import ENDS, THINKING_MARKS, is_tag
from engine.tool_calls.reading.mark_search import partial_mark_start

# A mark within a sentence has one of these on each side.
_BEFORE_WORDS = frozenset(" (\"'*_/-")
_BEHIND_WORDS = frozenset(" \t.,;:!?)'\"`*_/-")

MarkMeaning = Literal["opened", "over", "again", "mentioned"]


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class ThoughtEnd:
    """Thinking ends here without an opening mark: all text before it was thinking, if there is any."""

    text_before: bool


class ThoughtScanner:
    """Follows the thinking of one answer; white space at its borders is layout and is dropped.

    A mark that looks like markup opens a thought at the beginning of a line or before a line break. Elsewhere
    it is mentioned: until its end mark, or the end of the paragraph, nothing is a call. An end mark without
    an opening mark counts once, unless it is part of a sentence.
    """

    def __init__(self) -> None:
        self.inside = False
        self.marks = (*THINKING_MARKS, *ENDS)
        self._ends: tuple[str, ...] = ()
        self._mentioned: tuple[str, ...] = ()  # the end marks of a mentioned mark
        self._paragraph = 0  # that mentions it
        self._thought = False  # the answer has a thought already
        self._space = ""  # white space, dropped unless more thinking follows
        self._at_edge = True
        self._found: tuple[MarkMeaning, str] = ("mentioned", "")

    def at(self, text: str, context: MarkdownContext, *, final: bool) -> int | None:
        """The length of the mark that `text` begins with, 0 for none; None: the next text decides."""
        if context.place:
            return 0
        marks = self._mentioned if self.mentioned(context) else self.marks
        mark = max((mark for mark in marks if text.startswith(mark)), key=len, default="")
        if not final and any(len(other) > len(text) and other.startswith(text) for other in marks):
            return None
        if not mark:
            return 0
        behind = text[len(mark) : len(mark) + 1]
        if is_tag(mark) and not behind and not final and not self._mentioned:
            return None
        self._found = self._meaning(mark, behind, context), mark
        self._paragraph = context.paragraph
        return len(mark)

    def take(self) -> MarkMeaning:
        """Consume the mark that `at` found."""
        meaning, mark = self._found
        self._mentioned = THINKING_MARKS[mark] if meaning == "mentioned" and mark in THINKING_MARKS else ()
        if meaning == "opened":
            self.inside, self._thought = True, True
            self._ends, self._space, self._at_edge = THINKING_MARKS[mark], "", True
        self._thought = self._thought or meaning == "over"
        return meaning

    def mentioned(self, context: MarkdownContext) -> bool:
        """Whether this paragraph mentions a mark."""
        if self._mentioned and context.paragraph != self._paragraph:
            self._mentioned = ()
        return bool(self._mentioned)

    def read(self, text: str, out: list[Any], *, final: bool) -> str:
        """Take thinking from `text`; returns the rest. After the end of the thought, `inside` is false."""
        places = [(text.find(end), -len(end)) for end in self._ends if end in text]
        if not places:
            kept = len(text) if final else partial_mark_start(text, self._ends)
            self._think(text[:kept], out)
            return text[kept:]
        at, length = min(places)
        if not final and any(len(end) > len(text) - at and end.startswith(text[at:]) for end in self._ends):
            self._think(text[:at], out)
            return text[at:]
        self._think(text[:at], out)
        self.inside, self._space = False, ""
        return text[at - length :]

    def _meaning(self, mark: str, behind: str, context: MarkdownContext) -> MarkMeaning:
        if self._mentioned:
            return "mentioned"
        if mark in THINKING_MARKS:
            opens = not is_tag(mark) or context.line_start or behind in ("", "\n", "\r")
            return "opened" if opens else "mentioned"
        if context.at_start:
            return "again"
        ends = not is_tag(mark) or not (behind in _BEHIND_WORDS and context.last_letter in _BEFORE_WORDS)
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
