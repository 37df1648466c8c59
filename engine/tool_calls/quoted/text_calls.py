"""Finds tool calls and thinking in streamed text, where a server should have sent fields of their own.

For servers that should send `tool_calls` and `reasoning_content`, but whose model, template or parser leaves
them in the text. A call found here may still be a quoted one: `engine.tool_calls.quoted.final_calls` decides.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from engine.tool_calls.quoted.call_forms import CallForms
from engine.tool_calls.quoted.call_matchers import BareCallMatcher, CallMatcher, FirstMatch
from engine.tool_calls.quoted.family_matcher import FamilyCallMatcher, marks_of
from engine.tool_calls.quoted.markdown_context import MarkdownContext
from engine.tool_calls.quoted.thought_scanner import Thought, ThoughtEnd, ThoughtScanner
from engine.tool_calls.reading.family import Bare
from engine.tool_calls.recovery.call_starts import call_starts
from engine.tool_calls.schemas.tools import ToolSchemas


@dataclass(frozen=True, slots=True)
class TextCall:
    """Text that may be one or more calls, for `recover_text`; `whole`: their end was found too."""

    raw: str
    whole: bool = True
    bare: bool = False  # without a mark


ScanPart = str | TextCall | Thought | ThoughtEnd

_SEPARATORS = " \t\r\n;,"  # between calls without marks
_LETTERS = 3  # of a mark that are looked for at first


def beginnings(marks: Collection[str]) -> re.Pattern[str]:
    """The places where one of the marks may begin; at the end of a text, also its first letters alone."""
    return _beginnings(frozenset(mark[:_LETTERS] for mark in marks))


@lru_cache(maxsize=64)
def _beginnings(begun: frozenset[str]) -> re.Pattern[str]:
    # Most deltas have none of them: the pattern must pass over a text without trying each mark at each place.
    by_letter: dict[str, list[str]] = {}
    for text in sorted(begun):
        by_letter.setdefault(text[0], []).append(text[1:])
    ways = []
    for first, rests in by_letter.items():
        tails = [re.escape(rest) for rest in rests]
        cut = {re.escape(rest[:length]) + r"\Z" for rest in rests for length in range(len(rest))}
        ways.append(f"{re.escape(first)}(?:{'|'.join([*tails, *sorted(cut)])})")
    return re.compile("|".join(ways))


class TextCallScanner:
    """Scans one answer's text for calls and thinking.

    It looks for an opening mark of a family, if a call may follow it; where the model writes calls without
    marks, for one of an offered tool with only such calls before it; and with `thoughts` for thinking marks.
    In code, comments and quotations it looks for none of them.

    It buffers only text that may become a call. The concatenated results equal the text that was fed, without
    the thinking marks and the white space around them. The results do not depend on how the text was split.
    """

    def __init__(self, tools: ToolSchemas, forms: CallForms, *, thoughts: bool = False) -> None:
        self._tools = tools
        self._bare: tuple[Bare, ...] = forms.bare if tools else ()
        self._starts = call_starts(tools)
        self._marks = marks_of(forms.families) if tools else {}
        self._thoughts = ThoughtScanner() if thoughts else None
        marks = {*self._marks, *(self._thoughts.marks if self._thoughts is not None else ())}
        self._interesting = beginnings(marks) if marks else None
        self._mark_letters = frozenset(mark[0] for mark in self._marks)
        self._text = ""  # not scanned yet
        self._matcher: CallMatcher | None = None
        self._matched_text: list[str] = []
        self._context = MarkdownContext()  # at the end of the emitted text
        self._calls_only = True  # only calls without a mark so far
        self._final = False
        self._out: list[ScanPart] = []

    @property
    def in_thought(self) -> bool:
        """Whether the next text is thinking."""
        return self._thoughts is not None and self._thoughts.inside

    @property
    def in_call(self) -> bool:
        """Whether the next text belongs to a call that has begun."""
        return self._matcher is not None and self._matcher.begun

    def feed(self, text: str) -> list[ScanPart]:
        """Take the next text; returns what is decided."""
        if self._matcher is None:
            self._text += text
        else:
            self._match(text)
        self._scan()
        return self._taken()

    def finish(self) -> list[ScanPart]:
        """End the answer; returns what was buffered."""
        self._final = True
        while self._matcher is not None or self._text:
            if self._matcher is not None:
                self._matcher.finish()
                self._settle()
            self._scan()
        return self._taken()

    def _scan(self) -> None:
        """Search the text for places where a call or a thought may begin."""
        while self._matcher is None and self._text:
            if self._thoughts is not None and self._thoughts.inside:
                self._text = self._thoughts.read(self._text, self._out, final=self._final)
                if self._thoughts.inside:
                    return
                self._context.restart()
                continue
            at = self._next_place()
            self._pass(at)
            if not self._text:
                return
            if self._thoughts is not None:
                taken = self._thoughts.at(self._text, self._context, final=self._final)
                if taken is None:
                    return  # the next text decides
                if taken:
                    self._pass_thought_mark(taken)
                    continue
            matchers = self._matchers_here()
            if not matchers:
                self._pass(1)
                continue
            text, self._text = self._text, ""
            self._matcher, self._matched_text = FirstMatch(matchers), []
            self._match(text)

    def _next_place(self) -> int:
        if self._bare and self._calls_only:
            return len(self._text) - len(self._text.lstrip(_SEPARATORS))
        found = self._interesting.search(self._text) if self._interesting is not None else None
        return found.start() if found else len(self._text)

    def _pass_thought_mark(self, length: int) -> None:
        """Consume a thinking mark; a mark that is only mentioned stays text."""
        assert self._thoughts is not None
        meaning = self._thoughts.take()
        if meaning == "mentioned":
            self._pass(length)
            return
        self._text = self._text[length:]
        self._context.restart()
        if meaning == "opened":
            self._out.append(Thought(""))  # a thought begins here, even an empty one
        else:
            self._out.append(ThoughtEnd(text_before=meaning == "over"))

    def _matchers_here(self) -> list[CallMatcher]:
        first = self._text[0]
        if self._context.place or (self._thoughts is not None and self._thoughts.mentioned(self._context)):
            return []
        matchers: list[CallMatcher] = []
        if first in self._mark_letters:
            line_start = self._context.line_start
            marks = {
                mark: families
                for mark, families in self._marks.items()
                if line_start or not any(mark in family.bare_openings for family in families)
            }
            matchers.append(FamilyCallMatcher(marks, self._starts, self._tools))
        if self._calls_only:
            kinds = [kind for kind in self._bare if kind == "named" or first in "{["]
            matchers += [BareCallMatcher(self._starts.bare(kind)) for kind in kinds]
        return matchers

    def _match(self, text: str) -> None:
        assert self._matcher is not None
        self._matched_text.append(text)
        self._matcher.feed(text)
        self._settle()

    def _settle(self) -> None:
        """Drop the matcher once it has a result."""
        assert self._matcher is not None
        if not self._matcher.refused and self._matcher.length is None:
            return
        text, length = "".join(self._matched_text), self._matcher.length
        self._matcher, self._matched_text, self._text = None, [], text
        if length is None:
            self._pass(1)
        else:
            bare = bool(self._bare) and not any(text.startswith(mark) for mark in self._marks)
            self._out.append(TextCall(text[:length], not self._final, bare))
            self._text = text[length:]
            self._context.skip_call()
            self._calls_only = self._calls_only and bare

    def _pass(self, length: int) -> None:
        """Emit text unchanged."""
        if not length:
            return
        text, self._text = self._text[:length], self._text[length:]
        self._out.append(text)
        self._context.feed(text)
        self._calls_only = self._calls_only and not text.strip(_SEPARATORS)

    def _taken(self) -> list[ScanPart]:
        """The results since the last call, adjacent texts joined."""
        taken: list[ScanPart] = []
        for found in self._out:
            if isinstance(found, str) and taken and isinstance(taken[-1], str):
                taken[-1] += found
            else:
                taken.append(found)
        self._out = []
        return taken
