"""Calls in a text stream that should come elsewhere, and thinking in it: found while the text comes.

For servers that should send `tool_calls` and `reasoning_content`, and whose model, template or parser lets
them through as text. What is found may still be a text that shows a call: `engine.tool_calls.stray.end_calls`
decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.tool_calls.recovery.call_heads import call_heads
from engine.tool_calls.schemas.tools import ToolSchemas
from engine.tool_calls.stray.call_forms import CallForms
from engine.tool_calls.stray.call_watches import FirstOf, JsonWatch, Watch
from engine.tool_calls.stray.family_watch import FamilyWatch, marks_of
from engine.tool_calls.stray.shown_text import ShownText
from engine.tool_calls.stray.thought_scan import Thought, ThoughtMarks, ThoughtOver


@dataclass(frozen=True, slots=True)
class StrayCall:
    """Text that is meant to be one or more calls, for `recover_text`; `whole`: their end was found too."""

    raw: str
    whole: bool = True
    bare: bool = False  # JSON without a mark


Found = str | StrayCall | Thought | ThoughtOver

_SEPARATORS = " \t\r\n;,"  # between calls without marks


class StrayCalls:
    """Reads one answer's text.

    What is looked for: an opening mark of a family, if what follows it may be a call; where the model writes
    so, JSON that names an offered tool and that nothing but such JSON stands before; and with `thoughts`
    marks of thinking. In code, comments and quotations there is neither.

    Text that may still become a call is held back, and no other; put together, all that is found is the text
    that was fed, but for marks of thinking and the white space around them, and where it was cut makes no
    difference to what is found in it.
    """

    def __init__(self, tools: ToolSchemas, forms: CallForms, *, thoughts: bool = False) -> None:
        self._tools = tools
        self._bare_json = forms.bare_json and bool(tools)
        self._heads = call_heads(tools)
        self._marks = marks_of(forms.families) if tools else {}
        self._thoughts = ThoughtMarks() if thoughts else None
        firsts = {mark[0] for mark in self._marks}
        if self._thoughts is not None:
            firsts |= self._thoughts.first_letters
        self._interesting = re.compile("[" + re.escape("".join(sorted(firsts))) + "]") if firsts else None
        self._mark_letters = frozenset(mark[0] for mark in self._marks)
        self._text = ""  # not looked through yet
        self._watch: Watch | None = None
        self._watched: list[str] = []
        self._shown = ShownText()  # where the text that was passed on has led to
        self._calls_only = True  # nothing but calls without a mark so far
        self._final = False
        self._out: list[Found] = []

    @property
    def in_thought(self) -> bool:
        """Whether what comes next is thinking."""
        return self._thoughts is not None and self._thoughts.inside

    @property
    def in_call(self) -> bool:
        """Whether what comes next is part of what has begun as a call."""
        return self._watch is not None and self._watch.begun

    def feed(self, text: str) -> list[Found]:
        """Take the next text; returns what is beyond doubt."""
        if self._watch is None:
            self._text += text
        else:
            self._watching(text)
        self._scan()
        return self._taken()

    def finish(self) -> list[Found]:
        """The answer has ended; returns what was held back."""
        self._final = True
        while self._watch is not None or self._text:
            if self._watch is not None:
                self._watch.finish()
                self._settle()
            self._scan()
        return self._taken()

    def _scan(self) -> None:
        """Look through text for places where a call or a thought may begin."""
        while self._watch is None and self._text:
            if self._thoughts is not None and self._thoughts.inside:
                self._text = self._thoughts.read(self._text, self._out, final=self._final)
                if self._thoughts.inside:
                    return
                self._shown.begin_again()
                continue
            at = self._next_place()
            self._pass(at)
            if not self._text:
                return
            if self._thoughts is not None:
                taken = self._thoughts.at(self._text, self._shown, final=self._final)
                if taken is None:
                    return  # the next text tells
                if taken:
                    self._pass_thought_mark(taken)
                    continue
            watches = self._watches_here()
            if not watches:
                self._pass(1)
                continue
            text, self._text = self._text, ""
            self._watch, self._watched = FirstOf(watches), []
            self._watching(text)

    def _next_place(self) -> int:
        if self._bare_json and self._calls_only:
            return len(self._text) - len(self._text.lstrip(_SEPARATORS))
        found = self._interesting.search(self._text) if self._interesting is not None else None
        return found.start() if found else len(self._text)

    def _pass_thought_mark(self, length: int) -> None:
        """Leave a mark of thinking behind: text where it is only mentioned."""
        assert self._thoughts is not None
        meaning = self._thoughts.take()
        if meaning == "mentioned":
            self._pass(length)
            return
        self._text = self._text[length:]
        self._shown.begin_again()
        if meaning == "opened":
            self._out.append(Thought(""))  # it stands behind what was said, though it may say nothing
        else:
            self._out.append(ThoughtOver(text_before=meaning == "over"))

    def _watches_here(self) -> list[Watch]:
        first = self._text[0]
        if self._shown.place or (self._thoughts is not None and self._thoughts.mentioned(self._shown)):
            return []
        watches: list[Watch] = []
        if first in self._mark_letters:
            line_start = self._shown.line_start
            marks = {
                mark: families
                for mark, families in self._marks.items()
                if line_start or not any(mark in family.bare_openings for family in families)
            }
            watches.append(FamilyWatch(marks, self._heads, self._tools))
        if self._bare_json and self._calls_only and first in "{[":
            watches.append(JsonWatch(self._heads))
        return watches

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
            bare = text[0] in "{[" and not any(text.startswith(mark) for mark in self._marks)
            self._out.append(StrayCall(text[:length], not self._final, bare))
            self._text = text[length:]
            self._shown.pass_call()
            self._calls_only = self._calls_only and bare

    def _pass(self, length: int) -> None:
        """Let text go on as it is."""
        if not length:
            return
        text, self._text = self._text[:length], self._text[length:]
        self._out.append(text)
        self._shown.feed(text)
        self._calls_only = self._calls_only and not text.strip(_SEPARATORS)

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
