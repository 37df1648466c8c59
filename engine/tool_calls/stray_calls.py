"""Calls in a text stream that should come elsewhere: found while the text comes, and kept out of it.

For servers that should send `tool_calls` and whose model, template or parser lets them through as text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.tool_calls.call_heads import call_heads
from engine.tool_calls.call_watches import FirstOf, JsonWatch, PythonWatch, TagWatch, Watch
from engine.tool_calls.family import Family
from engine.tool_calls.family_watch import FamilyWatch, marks_of
from engine.tool_calls.fence_watch import FenceWatch
from engine.tool_calls.schemas import ToolSchemas
from engine.tool_calls.shown_text import ShownText


@dataclass(frozen=True, slots=True)
class StrayCall:
    """Text that is meant to be one or more calls, whole or at the answer's end, for `recover_text`."""

    raw: str


Found = str | StrayCall


MOST_FAILURES = 20
"""Texts of one answer that turned out to be no calls, after which it is not worth to look for more."""


class StrayCalls:
    """Reads one answer's text.

    What is looked for: an opening mark of a family, if what follows it may be a call; calls in tags
    (`<function=`, `<invoke name=`, `<NAME>` of an offered tool); JSON at the beginning of a line, or in a
    fence that holds nothing else, whose beginning names an offered tool; Python's call syntax if it is all of
    the answer. Other code fences, indented code and comments show things; in them, only marks that no text
    shows count (`<|...|>`), and in a code span nothing does.

    Text that may still become a call is held back, and no other; put together, all that is found is the text
    that was fed, and where it was cut makes no difference to the calls that are found in it.
    """

    def __init__(self, tools: ToolSchemas, families: Sequence[Family], *, json_answer: bool = False) -> None:
        """With `json_answer` the text is asked to be JSON, so that JSON without a mark is no call."""
        self._tools = tools
        self._json_answer = json_answer
        self._heads = call_heads(tools)
        self._marks = marks_of(families)
        self._token_marks = marks_of(families, tokens_only=True)
        firsts = {mark[0] for mark in self._marks}
        self._interesting = re.compile("[" + re.escape("".join(sorted(firsts | set("<`{[")))) + "]")
        self._mark_letters = frozenset(firsts)
        self._text = ""  # not looked through yet
        self._watch: Watch | None = None
        self._watched: list[str] = []
        self._shown = ShownText()  # where the text that was passed on has led to
        self._answer_start = True  # nothing but blanks so far
        self._out: list[Found] = []

    def feed(self, text: str) -> list[Found]:
        """Take the next text; returns what is beyond doubt."""
        if not self._tools:
            return [text] if text else []
        if self._watch is None:
            self._text += text
        else:
            self._watching(text)
        self._scan()
        return self._taken()

    def finish(self) -> list[Found]:
        """The answer has ended; returns what was held back."""
        while self._watch is not None or self._text:
            if self._watch is not None:
                self._watch.finish()
                self._settle()
            self._scan()
        return self._taken()

    def _scan(self) -> None:
        """Look through text for places where a call may begin, and set up a watch there."""
        while self._watch is None and self._text:
            at = self._next_place()
            self._pass(at)
            if not self._text:
                return
            watches = self._watches_here()
            if not watches:
                self._pass(1)
                continue
            text, self._text = self._text, ""
            self._watch, self._watched = FirstOf(watches), []
            self._watching(text)

    def _next_place(self) -> int:
        if self._answer_start:
            return len(self._text) - len(self._text.lstrip())
        found = self._interesting.search(self._text)
        return found.start() if found else len(self._text)

    def _watches_here(self) -> list[Watch]:
        first, place = self._text[0], self._shown.place
        if place == "code span":
            return []
        watches: list[Watch] = []
        if first in self._mark_letters:
            marks = self._token_marks if place else self._marks
            watches.append(FamilyWatch(marks, self._heads, self._tools))
        if place:
            return watches
        if first == "<":
            watches.append(TagWatch(self._heads, self._tools))
        if self._shown.line_start and first in "{[" and not self._json_answer:
            watches.append(JsonWatch(self._heads))
        if self._shown.line_start and first == "`" and not self._json_answer:
            watches.append(FenceWatch(self._heads, self._watch_in_fence))
        if self._answer_start:
            watches.append(PythonWatch(self._heads, self._tools))
        return watches

    def _watch_in_fence(self) -> Watch:
        return FirstOf(
            [
                FamilyWatch(self._marks, self._heads, self._tools),
                TagWatch(self._heads, self._tools),
                JsonWatch(self._heads),
            ]
        )

    def _watching(self, text: str) -> None:
        assert self._watch is not None
        self._watched.append(text)
        self._watch.feed(text)
        self._settle()

    def _settle(self) -> None:
        """Leave the watch if it has come to a result."""
        assert self._watch is not None
        if not self._watch.refused and self._watch.length is None:
            return
        text, length = "".join(self._watched), self._watch.length
        self._watch, self._watched, self._text = None, [], text
        if length is None:
            self._pass(1)
        else:
            self._out.append(StrayCall(text[:length]))
            self._text = text[length:]
            self._shown.pass_call()
            self._answer_start = False

    def _pass(self, length: int) -> None:
        """Let text go on as it is."""
        if not length:
            return
        text, self._text = self._text[:length], self._text[length:]
        self._out.append(text)
        self._shown.feed(text)
        self._answer_start = self._answer_start and not text.strip()

    def _taken(self) -> list[Found]:
        """What is to be given out, neighbouring texts as one."""
        taken: list[Found] = []
        for found in self._out:
            if isinstance(found, str) and taken and isinstance(taken[-1], str):
                taken[-1] += found
            else:
                taken.append(found)
        self._out = []
        return taken
