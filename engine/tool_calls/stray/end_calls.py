"""What an answer's text holds: words, thinking, and calls, which count only whole and at the end.

A call that other text follows is shown, not meant; so is one in a thought. A text that ends with calls is
held back until its end, or until something else follows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import regex

from engine.tool_calls.families.registry import FAMILIES, family_that_reads
from engine.tool_calls.recovery.call_heads import call_heads
from engine.tool_calls.schemas.tools import ToolSchemas
from engine.tool_calls.stray.call_forms import ANY_FAMILY, CallForms
from engine.tool_calls.stray.stray_calls import Found, StrayCall, StrayCalls
from engine.tool_calls.stray.thought_scan import Thought, ThoughtOver

SHOWN = "the answer shows a tool call and makes none: only its end can be one, in its model's own marks"
FOLLOWED = "a text that looks like a tool call stayed text: more follows it"
THOUGHT_ABOUT = "a tool call in a thought was not carried out"
UNOPENED = "thinking came as text, without the mark that opens it: nothing in it was carried out"

# White space, and marks that end a call, a turn or an answer.
_BEHIND = regex.compile(
    r"(?:\s|<\|start\|>assistant|</(?:\w+:)?(?:tool_calls?|function)>|\[/?TOOL_CALLS\]|<[|｜][^<>\n|｜]{1,60}[|｜]>"
    r"|</s>|<end_of_turn>|<eos>|<turn\|>|<\|tool_response>|<start_function_response>|<seed:eos>|\[e~\[)*+"
)
_BEHIND_BARE = regex.compile(r"(?:[\s;,]|<[|｜][^<>\n|｜]{1,60}[|｜]>)*+")


@dataclass(frozen=True, slots=True)
class EndingCalls:
    """The calls that the text ends with; those `in_thought`, which nothing follows, are none."""

    raw: str
    whole: bool
    in_thought: bool = False
    behind: str = field(default="", compare=False)  # white space and marks at the end of `raw`

    @property
    def calls(self) -> str:
        """`raw` up to the end of the last call."""
        return self.raw.removesuffix(self.behind)


def shows_call(text: str, tools: ToolSchemas) -> bool:
    """Whether a text has a family's mark in it, or JSON that begins as a call of a tool that is offered."""
    marks = (mark for family in FAMILIES for mark in family.openings)
    return any(mark in text for mark in marks) or call_heads(tools).json.search(text) is not None


Part = str | Thought | ThoughtOver | EndingCalls


class EndCalls:
    """Reads one text; `notes` gather what became of texts that look like calls, until somebody takes them."""

    def __init__(self, tools: ToolSchemas, forms: CallForms, *, thoughts: bool = False) -> None:
        self.notes: list[str] = []
        self._tools = tools
        self._scan = StrayCalls(tools, forms, thoughts=thoughts)
        self._calls: list[StrayCall] = []  # that nothing has followed yet, with the text between them
        self._held: list[str] = []  # those calls as text, and what stands behind them
        self._behind = ""
        self._after = False  # a thought, or the end of one, was passed
        self._space = ""  # before the first words, which may be a thought's
        self._at_edge = thoughts  # nothing was said since the beginning or since a thought
        self._thought_end: EndCalls | None = None  # what a thought ends with
        self._thought: list[str] = []  # all of the newest thought
        self._out: list[Part] = []

    @property
    def unended(self) -> str:
        """The thought that the text has ended in, if no mark has ended it."""
        return "".join(self._thought) if self._scan.in_thought else ""

    @property
    def in_thought(self) -> bool:
        """Whether what comes next is thinking."""
        return self._scan.in_thought

    @property
    def in_call(self) -> bool:
        """Whether what comes next is part of what has begun as a call."""
        return self._scan.in_call

    def feed(self, text: str) -> list[Part]:
        """Take the next text; returns what is beyond doubt."""
        self._sort(self._scan.feed(text))
        return self._taken()

    def finish(self) -> list[Part]:
        """The text has ended: the rest of it, and at last the calls that it ends with."""
        self._sort(self._scan.finish())
        self._end_thought(final=True)
        if self._calls and self._ends_here(final=True):
            whole = all(call.whole or family_that_reads(call.raw, self._tools) for call in self._calls)
            self._out.append(EndingCalls("".join(self._held), whole, behind=self._behind))
            self._calls, self._held, self._behind = [], [], ""
        self._give_back()
        if self._space and not self._at_edge:
            self._out.append(self._space)
        return self._taken()

    def _sort(self, found: list[Found]) -> None:
        for each in found:
            if isinstance(each, Thought):
                self._think(each.text)
                continue
            if self._thought_end is not None and isinstance(each, str) and not each.strip():
                self._space += each  # the answer may end with the thought, though it has ended
                continue
            self._end_thought(final=False)
            if isinstance(each, StrayCall):
                self._calls.append(each)
                self._held += [each.raw]
                self._behind = ""
            elif isinstance(each, ThoughtOver):
                self._give_back()
                if each.text_before:
                    self.notes.append(UNOPENED)
                    self._out.append(each)
                self._at_edge, self._after, self._space = True, True, ""
            else:
                self._say(each)

    def _say(self, text: str) -> None:
        if self._calls:
            self._held.append(text)
            self._behind += text
            if not self._ends_here(final=False):
                self.notes.append(FOLLOWED)
                self._give_back()
            return
        if self._at_edge:
            text = self._space + text
            if not text.strip():
                self._space = text
                return
            # Before a thought that has yet to come it would be layout; before words it is theirs.
            text, self._space, self._at_edge = (text.lstrip() if self._after else text), "", False
        self._out.append(text)

    def _ends_here(self, *, final: bool) -> bool:
        pattern = _BEHIND_BARE if self._calls[-1].bare else _BEHIND
        return pattern.fullmatch(self._behind, partial=not final) is not None

    def _give_back(self) -> None:
        """What was held is text after all."""
        if self._held:
            self._out.append("".join(self._held))
            self._at_edge = False
        self._calls, self._held, self._behind = [], [], ""

    def _think(self, text: str) -> None:
        if self._calls:
            self.notes.append(FOLLOWED)
            self._give_back()
        self._at_edge, self._after, self._space = True, True, ""
        if not text:
            self._thought = []
        if self._thought_end is None:
            self._thought_end = EndCalls(self._tools, ANY_FAMILY)
        self._thought.append(text)
        for part in self._thought_end.feed(text):
            assert isinstance(part, str)
            self._out.append(Thought(part))

    def _end_thought(self, *, final: bool) -> None:
        """A thought is over; calls at its end are thinking, unless the text ends with them too."""
        ended, self._thought_end = self._thought_end, None
        parts = ended.finish() if ended is not None else []
        considered = ended is not None and (ended.notes or any(isinstance(p, EndingCalls) for p in parts))
        if considered:
            self.notes.append(THOUGHT_ABOUT)
        for part in parts:
            if isinstance(part, EndingCalls) and final and part.whole:
                self._out.append(EndingCalls(part.raw, part.whole, in_thought=True))
            elif isinstance(part, EndingCalls):
                self._out.append(Thought(part.raw))
            else:
                assert isinstance(part, str)
                self._out.append(Thought(part))

    def _taken(self) -> list[Part]:
        taken, self._out = self._out, []
        return taken
