"""Splits an answer's text into words, thinking and calls; only whole calls at the end count.

A call that text follows is quoted, and so is one in a thought. Calls at the end of the text are buffered
until the text ends or goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import regex

from engine.tool_calls.families.registry import FAMILIES, matching_family
from engine.tool_calls.quoted.call_forms import ANY_FAMILY, CallForms
from engine.tool_calls.quoted.text_calls import ScanPart, TextCall, TextCallScanner
from engine.tool_calls.quoted.thought_scanner import Thought, ThoughtEnd
from engine.tool_calls.recovery.call_starts import call_starts
from engine.tool_calls.schemas.tools import ToolSchemas

QUOTED_CALL = (
    "the answer quotes a tool call and makes none: a call must stand at its end, in its model's own marks"
)
CALL_BEFORE_TEXT = "what looks like a tool call was returned as text: more follows it"
CALL_IN_THOUGHT = "a tool call in a thought was not sent"
THOUGHT_WITHOUT_START = "thinking came as text, without its opening mark: no call in it was sent"

# White space, and marks that end a call, a turn or an answer.
_BEHIND = regex.compile(
    r"(?:\s|<\|start\|>assistant|</(?:\w+:)?(?:tool_calls?|function)>|\[/?TOOL_CALLS\]|<[|｜][^<>\n|｜]{1,60}[|｜]>"
    r"|</s>|<end_of_turn>|<eos>|<turn\|>|<\|tool_response>|<start_function_response>|<seed:eos>|\[e~\[)*+"
)
_BEHIND_BARE = regex.compile(r"(?:[\s;,]|<[|｜][^<>\n|｜]{1,60}[|｜]>)*+")


@dataclass(frozen=True, slots=True)
class FinalCalls:
    """The calls at the end of the text; those `in_thought`, with nothing behind them, do not count."""

    raw: str
    whole: bool
    in_thought: bool = False
    behind: str = field(default="", compare=False)  # white space and marks at the end of `raw`

    @property
    def calls(self) -> str:
        """`raw` up to the end of the last call."""
        return self.raw.removesuffix(self.behind)


def quotes_call(text: str, tools: ToolSchemas) -> bool:
    """Whether a text has an opening mark of a family, or JSON that begins as a call of an offered tool."""
    marks = (mark for family in FAMILIES for mark in family.openings)
    return any(mark in text for mark in marks) or call_starts(tools).json.search(text) is not None


Part = str | Thought | ThoughtEnd | FinalCalls


class FinalCallReader:
    """Reads one text; `notes` collects what happened to texts that look like calls."""

    def __init__(self, tools: ToolSchemas, forms: CallForms, *, thoughts: bool = False) -> None:
        self.notes: list[str] = []
        self._tools = tools
        self._scan = TextCallScanner(tools, forms, thoughts=thoughts)
        self._calls: list[TextCall] = []  # at the end of the text so far
        self._candidate_text: list[str] = []  # those calls as text, with the text between and behind them
        self._behind = ""
        self._after = False  # a thought, or the end of one, came before
        self._space = ""  # before the first words; it may belong to a thought
        self._at_edge = thoughts  # no words yet, or none since a thought
        self._thought_end: FinalCallReader | None = None  # finds calls at the end of a thought
        self._thought: list[str] = []  # all of the newest thought
        self._out: list[Part] = []

    @property
    def unended(self) -> str:
        """The thought that the text ended in, if no mark closed it."""
        return "".join(self._thought) if self._scan.in_thought else ""

    @property
    def in_thought(self) -> bool:
        """Whether the next text is thinking."""
        return self._scan.in_thought

    @property
    def in_call(self) -> bool:
        """Whether the next text belongs to a call that has begun."""
        return self._scan.in_call

    def feed(self, text: str) -> list[Part]:
        """Take the next text; returns what is decided."""
        self._sort(self._scan.feed(text))
        return self._taken()

    def finish(self) -> list[Part]:
        """End the text: returns what is left, and last the calls that the text ends with."""
        self._sort(self._scan.finish())
        self._end_thought(final=True)
        if self._calls and self._ends_here(final=True):
            whole = all(call.whole or matching_family(call.raw, self._tools) for call in self._calls)
            self._out.append(FinalCalls("".join(self._candidate_text), whole, behind=self._behind))
            self._calls, self._candidate_text, self._behind = [], [], ""
        self._release()
        if self._space and not self._at_edge:
            self._out.append(self._space)
        return self._taken()

    def _sort(self, found: list[ScanPart]) -> None:
        for each in found:
            if isinstance(each, Thought):
                self._think(each.text)
                continue
            if self._thought_end is not None and isinstance(each, str) and not each.strip():
                self._space += each  # the answer may still end with this thought
                continue
            self._end_thought(final=False)
            if isinstance(each, TextCall):
                self._calls.append(each)
                self._candidate_text += [each.raw]
                self._behind = ""
            elif isinstance(each, ThoughtEnd):
                self._release()
                if each.text_before:
                    self.notes.append(THOUGHT_WITHOUT_START)
                    self._out.append(each)
                self._at_edge, self._after, self._space = True, True, ""
            else:
                self._say(each)

    def _say(self, text: str) -> None:
        if self._calls:
            self._candidate_text.append(text)
            self._behind += text
            if not self._ends_here(final=False):
                self.notes.append(CALL_BEFORE_TEXT)
                self._release()
            return
        if self._at_edge:
            text = self._space + text
            if not text.strip():
                self._space = text
                return
            # Before a thought this white space is layout; before words it belongs to them.
            text, self._space, self._at_edge = (text.lstrip() if self._after else text), "", False
        self._out.append(text)

    def _ends_here(self, *, final: bool) -> bool:
        pattern = _BEHIND_BARE if self._calls[-1].bare else _BEHIND
        return pattern.fullmatch(self._behind, partial=not final) is not None

    def _release(self) -> None:
        """Emit the buffered candidates as text."""
        if self._candidate_text:
            self._out.append("".join(self._candidate_text))
            self._at_edge = False
        self._calls, self._candidate_text, self._behind = [], [], ""

    def _think(self, text: str) -> None:
        if self._calls:
            self.notes.append(CALL_BEFORE_TEXT)
            self._release()
        self._at_edge, self._after, self._space = True, True, ""
        if not text:
            self._thought = []
        if self._thought_end is None:
            self._thought_end = FinalCallReader(self._tools, ANY_FAMILY)
        self._thought.append(text)
        for part in self._thought_end.feed(text):
            assert isinstance(part, str)
            self._out.append(Thought(part))

    def _end_thought(self, *, final: bool) -> None:
        """End a thought; calls at its end are thinking, unless the text ends with them too."""
        ended, self._thought_end = self._thought_end, None
        parts = ended.finish() if ended is not None else []
        considered = ended is not None and (ended.notes or any(isinstance(p, FinalCalls) for p in parts))
        if considered:
            self.notes.append(CALL_IN_THOUGHT)
        for part in parts:
            if isinstance(part, FinalCalls) and final and part.whole:
                self._out.append(FinalCalls(part.raw, part.whole, in_thought=True))
            elif isinstance(part, FinalCalls):
                self._out.append(Thought(part.raw))
            else:
                assert isinstance(part, str)
                self._out.append(Thought(part))

    def _taken(self) -> list[Part]:
        taken, self._out = self._out, []
        return taken
