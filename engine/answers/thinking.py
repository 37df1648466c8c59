"""The thinking of one answer: which marks open and end it, and what calls do at its end."""

from __future__ import annotations

import re
from typing import Literal

from engine.answers.marker_scanner import MarkerScanner
from engine.answers.pieces import AnswerStyle
from engine.constrained.code_places import CodePlaces
from engine.tool_calls.quoted.call_forms import CallForms
from engine.tool_calls.quoted.final_calls import FinalCallReader, FinalCalls
from engine.tool_calls.quoted.thinking_marks import ENDS, THINKING_MARKS, is_tag, marks_that_end
from engine.tool_calls.reading.family import with_names

Meaning = Literal["opens", "undecided", "left out", "text", "mention over"]

_EMPTY_LINE = re.compile(r"\n[ \t]*\n")


class AnswerThoughts:
    """Of a model whose marks are not known, the usual ones count.

    A mark that looks like markup opens a thought at the beginning of a line and before a line break.
    Elsewhere it is mentioned: no call is opened up to its end, or to the end of the paragraph. In code it is
    text. `engine.constrained.thinking_grammar` says the same to a grammar.
    """

    def __init__(self, style: AnswerStyle) -> None:
        self._style = style
        start, end = style.think_start, style.think_end
        self._pairs = {start: marks_that_end(start, end)} if start else dict(THINKING_MARKS)
        own = (end,) if start else ENDS
        openings = style.family.openings if style.family is not None and style.tools else ()
        # The marks that open calls, each as its reader takes it: without a name that the call repeats.
        self.openings = {
            mark: plain if (plain := opening.replace("$tool", "")) in openings else mark
            for opening in openings
            for mark in with_names((opening,), style.tools)
        }
        self.starts = frozenset(self._pairs)
        self.marks = self.starts | {mark for mark in own if mark not in style.drop}
        self.ends = self._pairs[start] if start else ENDS  # of the thought that the answer is in
        self.mentioned = False
        self._end_of_text = ""  # the last line break, if only blanks follow it
        self._tools = style.tools
        self._forms = CallForms() if style.family is None else CallForms((style.family,))
        self._calls = FinalCallReader(self._tools, self._forms)

    def scanners(self) -> dict[Literal["text", "thinking"], MarkerScanner]:
        """What is looked for in an answer's text, and in a thought."""
        style = self._style
        return {
            "text": MarkerScanner([*style.stops, *self.marks, *self.openings, *style.drop]),
            "thinking": self.thinking_scanner(),
        }

    def thinking_scanner(self) -> MarkerScanner:
        """What is looked for in the thought that the answer is in now."""
        return MarkerScanner([*self.starts, *self.ends, *self._style.drop])

    def meaning(self, mark: str, places: CodePlaces, *, said: bool) -> Meaning:
        """What a mark means in the text; `said`: there were words since the beginning, or since a thought."""
        if self.mentioned:
            self.mentioned = mark in self.starts
            return "text" if self.mentioned else "mention over"
        if places.inside:
            return "text"
        if mark in self.starts:
            return "opens" if not is_tag(mark) or places.line_start else "undecided"
        return "text" if said and is_tag(mark) else "left out"

    def open(self, mark: str) -> None:
        """A thought begins."""
        self.ends = self._pairs[mark]

    def mention(self) -> None:
        """A mark is only mentioned."""
        self.mentioned, self._end_of_text = True, ""

    def pass_text(self, text: str, places: CodePlaces) -> None:
        """Text stands here; behind an empty line nothing is mentioned any more."""
        if self.mentioned:
            text = self._end_of_text + text
            empty = _EMPTY_LINE.search(text)
            if empty is None:
                line = text[text.rfind("\n") :] if "\n" in text else ""
                self._end_of_text = line if not line.strip() else ""
                return
            self.mentioned = False
            places.restart()
            text = text[empty.end() :]
        places.feed(text)

    def feed(self, text: str) -> list[str]:
        """Take a thought's text; returns what of it is no call at its end."""
        return [part for part in self._calls.feed(text) if isinstance(part, str)]

    def finish(self) -> list[str | FinalCalls]:
        """The thought is over: the rest of it, and the calls that it ends with."""
        ended, self._calls = self._calls, FinalCallReader(self._tools, self._forms)
        return [part for part in ended.finish() if isinstance(part, str | FinalCalls)]
