"""The text and the thinking of one answer, as an upstream sends them: split, without their marks. Pure.

Some upstreams leave thinking in the text, or its marks in the thinking, or a call that the model made before
it closed a thought. What is found in the text and in the thinking is one sequence of parts.
"""

from __future__ import annotations

from engine.tool_calls.quoted.call_forms import CallForms
from engine.tool_calls.quoted.final_calls import CALL_BEFORE_TEXT, FinalCallReader, FinalCalls, Part
from engine.tool_calls.quoted.thought_scanner import Thought, ThoughtEnd
from engine.tool_calls.schemas.tools import ToolSchemas

_NONE = CallForms(())


class ThinkingSplitter:
    """Reads the text and the thinking of one answer; `forms`: of the calls that the text may end with."""

    def __init__(self, tools: ToolSchemas, forms: CallForms | None) -> None:
        self._tools = tools
        self._forms = forms or _NONE
        self._text: FinalCallReader | None = None  # what is being read
        self._thinking: FinalCallReader | None = None
        self._space = ""  # before thinking that may come
        self._said = False  # something that the client sees as the answer
        self._called = False
        self._notes: list[str] = []
        self.unended = ""  # a thought in the text that the answer has ended in

    def text(self, text: str) -> list[Part]:
        """Take text of the answer."""
        parts = self._end_thinking(final=False)
        if self._text is None:
            self._text = FinalCallReader(self._tools, self._forms, thoughts=True)
        return [*parts, *self._noted(self._text.feed(text))]

    def thinking(self, text: str) -> list[Part]:
        """Take thinking that the upstream sends apart; all of it is thinking, whatever marks it has.

        Calls that stand before it are text, as they are before any words; white space alone follows nothing.
        """
        text, self._space = self._space + text, ""
        if self._thinking is None and not text.strip():
            self._space = text
            return []
        parts = self._followed(self._end_text(final=False))
        if self._thinking is None:
            self._thinking = FinalCallReader(self._tools, CallForms(), thoughts=True)
        return [*parts, *map(_as_thought, _words(self._thinking.feed(text)))]

    def end(self, *, final: bool) -> list[Part]:
        """A structured call comes next, or with `final` nothing: what was buffered."""
        final = final and not self._called
        parts = [*self._end_text(final=final), *self._end_thinking(final=final)]
        self._said = self._called = True
        return parts

    def take_notes(self) -> list[str]:
        """What became of texts that look like calls, once."""
        notes, self._notes = self._notes, []
        return notes

    def _end_text(self, *, final: bool) -> list[Part]:
        """Calls at the end of a thought are shown where the answer ends with them, and makes no call."""
        ended, self._text = self._text, None
        parts = self._noted(ended.finish()) if ended is not None else []
        if ended is not None:
            self._notes += ended.notes
            self.unended = ended.unended
        return [
            Thought(part.raw) if isinstance(part, FinalCalls) and part.in_thought and not final else part
            for part in parts
        ]

    def _followed(self, parts: list[Part]) -> list[Part]:
        """Calls that more follows are shown, not meant."""
        if any(isinstance(part, FinalCalls) for part in parts):
            self._notes.append(CALL_BEFORE_TEXT)
        return [part.raw if isinstance(part, FinalCalls) else part for part in parts]

    def _end_thinking(self, *, final: bool) -> list[Part]:
        """Calls at its end are thinking, unless the answer ends with them and says nothing else."""
        ended, self._thinking = self._thinking, None
        parts: list[Part] = []
        for part in ended.finish() if ended is not None else ():
            if isinstance(part, FinalCalls):
                shown = final and part.whole and not self._said
                parts.append(
                    FinalCalls(part.raw, part.whole, in_thought=True) if shown else Thought(part.raw)
                )
            elif not isinstance(part, ThoughtEnd):
                parts.append(_as_thought(part))
        return parts

    def _noted(self, parts: list[Part]) -> list[Part]:
        self._said = self._said or any(not isinstance(part, Thought | ThoughtEnd) for part in parts)
        return parts


def _words(parts: list[Part]) -> list[str | Thought]:
    return [part for part in parts if isinstance(part, str | Thought)]


def _as_thought(part: str | Thought) -> Thought:
    return part if isinstance(part, Thought) else Thought(part)
