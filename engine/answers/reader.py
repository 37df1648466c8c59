"""Generated tokens become what a client gets: text, thinking, tool calls.

One `AnswerText` reads one answer. White space that only lays out the answer (around thinking and around tool
calls) is left out; all other text passes unchanged.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

from engine.answers.answer_head import AnswerHead
from engine.answers.calls import CallSection, ReturnedText, recovered, without_repeats
from engine.answers.marker_scanner import MarkerScanner
from engine.answers.pieces import (
    AnswerStyle,
    Call,
    Composing,
    Piece,
    Remark,
    Stopped,
    Text,
    Thinking,
    TruncatedCall,
)
from engine.answers.thinking import AnswerThoughts
from engine.answers.token_spelling import TokenSpelling
from engine.answers.waiting_calls import WaitingCalls
from engine.constrained.code_places import CodePlaces
from engine.tool_calls.quoted.call_forms import CallForms
from engine.tool_calls.quoted.final_calls import CALL_BEFORE_TEXT, FinalCallReader, FinalCalls
from engine.tool_calls.quoted.thought_scanner import Thought, ThoughtEnd
from engine.tool_calls.reading.family import Family

Mode = Literal["text", "thinking"]

NOT_CARRIED_OUT = (
    "a tool call at the end of a thought that nothing follows was not carried out: it is shown as text"
)


class AnswerText:
    """Reads one answer; `detokenizer` is a fresh streaming detokenizer of mlx-lm."""

    def __init__(self, detokenizer: Any, style: AnswerStyle) -> None:
        self._detokenizer = detokenizer
        self._style = style
        self.mode: Mode = "thinking" if style.opens_thinking else "text"
        self.done = False
        self.reasoning_tokens = 0
        self._head = AnswerHead(style.family.head if style.family is not None else "")
        self._thoughts = AnswerThoughts(style)
        self._scanners: dict[Mode, MarkerScanner] = self._thoughts.scanners()
        self._places = CodePlaces()
        self._space = ""  # white space that is shown only if something visible follows
        self._at_edge = style.opens_thinking  # nothing was shown since the last mark
        self._section: CallSection | None = None
        self._at_line_start = True
        self._awaits_json = style.answers_json  # the first text is the beginning of a JSON answer
        self._space_before_call = ""
        self._waiting = WaitingCalls()
        self._marked: list[Call] = []  # the calls that were written with the family's marks
        self._spelling = TokenSpelling()
        self._ending = self._new_ending()
        self._undecided = ""  # a mark of thinking: the next letter decides whether it opens a thought
        self._said = False  # words, since the beginning or since a thought
        self._considered = ("", "")  # white space and a call that the last thought ends with

    def add(self, token: int) -> list[Piece]:
        """What one more token makes visible."""
        if self.done:
            return []
        if self.mode == "thinking":
            self.reasoning_tokens += 1
        self._detokenizer.add_token(token)
        segment = self._head.without(self._detokenizer.last_segment)
        self._spelling.add(token, len(segment), keep=self._section is not None)
        return list(self._until_done(self._read(segment))) if segment else []

    @property
    def answers_json(self) -> bool:
        """Whether a grammar constrains the answer to JSON."""
        return self._style.answers_json

    @property
    def in_data(self) -> bool:
        """Whether the last token was part of a call or of a JSON answer, which its thoughts are not."""
        if self._section is not None:
            return True
        in_json = self._style.answers_json and not self._awaits_json
        return self.mode == "text" and (in_json or (self._ending is not None and self._ending.in_call))

    def lift_constraints(self) -> None:
        """No grammar constrains the rest: calls are buffered until they are whole."""
        self._style = replace(self._style, constrained=frozenset(), all_constrained=False)
        if self._section is not None:
            self._section.lift_constraints()

    def finish(self, *, truncated: bool = False) -> list[Piece]:
        """What was buffered, when the model has ended, or was `truncated` at the limit of its answer."""
        return [] if self.done else list(self._until_done(self._finished(truncated)))

    def _finished(self, truncated: bool) -> Iterator[Piece]:
        yield from self._read(self._head.without(_finalized(self._detokenizer), final=True), final=True)
        while self._section is not None:
            section = self._section
            yield from self._placed(section.close(truncated=truncated), marked=True)
            self._leave(section)
            yield from self._read(section.rest, final=True)
        if self.mode == "thinking":
            yield from self._end_thought()
            self._enter("text")
        yield from self._settle(truncated=truncated)
        if self._waiting.calls:
            yield from self._waiting.take()
        elif self._space and not self._at_edge:
            yield self._piece(self._space)
        if self._considered[1] and not truncated:
            (_, raw), self._considered = self._considered, ("", "")
            yield Remark(NOT_CARRIED_OUT)
            yield Text(raw)
        yield from self._thought_call()
        self.done = True

    def _until_done(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Up to the first call if one only is wanted, and up to a stop."""
        for piece in pieces:
            if self._considered[1] and not isinstance(piece, Remark):
                yield from self._thought_call()
            yield piece
            if isinstance(piece, Stopped):
                self.done = True
                return
            if isinstance(piece, Call) and not self._style.parallel:
                self.done = True
                yield Stopped(None)
                return

    def _read(self, text: str, *, final: bool = False) -> Iterator[Piece]:
        while text or final:
            if self._section is not None:
                text = yield from self._read_calls(self._section, text)
                if self._section is not None:
                    return
                continue
            mode = self.mode
            for before, mark in self._scanners[mode].feed(text, final=final):
                if self._undecided and (before or mark or final):
                    yield from self._decide(before or mark or "")
                    if self.mode != mode:
                        text = before + (mark or "") + self._scanners[mode].flush()
                        break
                if self._awaits_json and mode == "text" and before.strip():
                    text = before + (mark or "") + self._scanners[mode].flush()
                    self._begin_json()
                    break
                self._spelling.read(len(before) + len(mark or ""))
                if before:
                    self._at_line_start = before.endswith("\n")
                    if mode == "text":
                        self._thoughts.pass_text(before, self._places)
                yield from self._show(before)
                if mark is not None:
                    yield from self._pass_mark(mark)
                if self.mode != mode or self._section is not None:
                    text = self._scanners[mode].flush()  # what comes next looks for other marks in it
                    break
            else:
                return

    def _begin_json(self) -> None:
        """From here on marks are text: those that stand in the strings of a JSON answer."""
        self._awaits_json = False
        self._scanners["text"] = MarkerScanner(self._style.stops)

    def _read_calls(self, section: CallSection, text: str) -> Generator[Piece, None, str]:
        """Feed a section of calls; returns the text behind it, once it is over."""
        self._spelling.read(len(text))
        yield from self._placed(section.feed(text), marked=True)
        if not section.over:
            return ""
        self._spelling.read(-len(section.rest))
        self._leave(section)
        return section.rest

    def _pass_mark(self, mark: str) -> Iterator[Piece]:
        if self.mode == "thinking":
            if mark in self._thoughts.ends:
                yield from self._end_thought()
                self._enter("text")
            elif mark in self._thoughts.starts and self._said:
                yield from self._show(mark)
        elif mark in self._style.stops:
            yield from self._settle(truncated=False)
            if self._waiting.calls:
                yield from self._waiting.take()
            elif self._space and not self._at_edge:
                yield self._piece(self._space)
            yield Stopped(mark)
        elif self._ending is not None and (self._ending.in_call or self._ending.in_thought):
            # Data, if it stands in arguments; what turns out to stand behind the call is read there.
            yield from self._show(mark)
        elif mark in self._thoughts.marks:
            yield from self._pass_thought_mark(mark)
        elif self._style.family is not None and mark in self._thoughts.openings:
            yield from self._pass_opening(self._style.family, mark)
        else:
            yield from self._settle(truncated=False)
            self._places.restart()
            self._at_line_start = False  # the mark stands before what follows

    def _pass_thought_mark(self, mark: str) -> Iterator[Piece]:
        match self._thoughts.meaning(mark, self._places, said=self._said):
            case "text":
                yield from self._shown_mark(mark)
            case "mention over":
                yield from self._show(mark)
                self._places.restart()
                self._at_line_start = True
            case "undecided":
                self._undecided = mark
            case "opens":
                yield from self._open_thought(mark)
            case "left out":
                yield from self._settle(truncated=False)
                yield from self._take_back()  # a thought that nothing has opened ends here
                self._places.feed(mark)
                self._at_line_start = False
                if not self._said:
                    self._space, self._at_edge = "", True

    def _decide(self, text: str) -> Iterator[Piece]:
        """Text follows a mark of thinking that stands within a line."""
        mark, self._undecided = self._undecided, ""
        if text.startswith("\n"):
            yield from self._open_thought(mark)
        else:
            self._thoughts.mention()
            yield from self._shown_mark(mark)

    def _open_thought(self, mark: str) -> Iterator[Piece]:
        yield from self._settle(truncated=False)
        yield from self._take_back()
        self._thoughts.open(mark)
        self._scanners["thinking"] = self._thoughts.thinking_scanner()
        self._enter("thinking")

    def _pass_opening(self, family: Family, mark: str) -> Iterator[Piece]:
        bare = mark in family.bare_openings and not self._at_line_start
        if bare or self._places.inside or self._thoughts.mentioned:
            yield from self._shown_mark(mark)
            return
        yield from self._settle(truncated=False)
        self._space_before_call, self._space = self._space, ""
        self._section = CallSection(family, self._thoughts.openings[mark], self._waiting.behind(self._style))
        self._spelling.begin(len(mark))
        yield Composing(mark)

    def _shown_mark(self, mark: str) -> Iterator[Piece]:
        """A mark that is a text like any other."""
        self._places.feed(mark)
        self._at_line_start = False
        yield from self._show(mark)

    def _placed(self, pieces: Iterable[Piece | ReturnedText], *, marked: bool = False) -> Iterator[Piece]:
        """Pieces of calls, with what was returned as text of the mode in which it stood."""
        for piece in pieces:
            if isinstance(piece, ReturnedText):
                self._space, self._space_before_call = self._space_before_call, ""
                self._places.feed(piece.text)
                if self._waiting.calls:
                    self._waiting.add(Text(piece.text), self._space)
                    self._space = ""
                else:
                    yield from self._spoken(piece.text)
            elif isinstance(piece, Call):
                call = replace(piece, tokens=self._spelling.end())
                if marked:
                    self._marked.append(call)
                if call.opened or self._style.all_constrained:
                    yield call
                else:
                    self._waiting.add(call, self._space_before_call)
                    self._space_before_call = ""
            elif isinstance(piece, TruncatedCall):
                yield replace(piece, tokens=self._spelling.end(), before=self._space_before_call)
            else:
                yield piece

    def _leave(self, section: CallSection) -> None:
        self._section = None
        self._places.restart()
        if section.calls:
            self._awaits_json = False
            self._enter("text")
            self._at_edge = not self._waiting.calls
        self._at_line_start = True

    def _enter(self, mode: Mode) -> None:
        self.mode, self._space, self._at_edge, self._said = mode, "", True, False
        self._at_line_start = True
        self._places.restart()

    def _show(self, text: str) -> Iterator[Piece]:
        """Text of the mode we are in; what may yet turn out to be a call at its end is buffered."""
        if self.mode == "thinking":
            for part in self._thoughts.feed(text):
                yield from self._spoken(part)
        elif self._ending is None:
            yield from self._spoken(text)
        else:
            yield from self._sorted(self._ending, self._ending.feed(text), truncated=False)

    def _settle(self, *, truncated: bool) -> Iterator[Piece]:
        """Decide on text that was buffered because it might have become a call."""
        if self._ending is not None:
            yield from self._sorted(self._ending, self._ending.finish(), truncated=truncated)
            self._ending = self._new_ending()

    def _new_ending(self) -> FinalCallReader | None:
        """What finds calls in the text of a model whose way to write them is not known, or has no marks."""
        style, family = self._style, self._style.family
        if not style.tools:
            return None
        if family is None:
            return FinalCallReader(style.tools, CallForms(bare=style.bare), thoughts=True)
        bare = style.bare or ((family.bare,) if family.bare else ())
        return FinalCallReader(style.tools, CallForms((), bare)) if bare else None

    def _sorted(self, ending: FinalCallReader, parts: Iterable[Any], *, truncated: bool) -> Iterator[Piece]:
        for part in parts:
            if isinstance(part, str):
                yield from self._spoken(part)
            elif isinstance(part, Thought | ThoughtEnd):
                yield from self._take_back()
                if isinstance(part, Thought) and part.text:
                    yield Thinking(part.text)
            elif truncated or not part.whole or part.in_thought:
                yield from self._spoken(part.raw)
            else:
                self._space_before_call, self._space = self._space, ""
                found = recovered(part.raw, self._style, of=part.calls)
                yield from self._placed(without_repeats(found, self._marked))
        for note in ending.notes:
            yield Remark(note)
        ending.notes.clear()

    def _end_thought(self) -> Iterator[Piece]:
        """The thought is over. A call at its end is shown as text if the answer ends with it too."""
        for part in self._thoughts.finish():
            if not isinstance(part, FinalCalls):
                yield from self._spoken(part)
            elif part.whole:
                yield from self._thought_call()
                self._considered, self._space = (self._space, part.raw), ""
            else:
                yield from self._spoken(part.raw)

    def _thought_call(self) -> Iterator[Piece]:
        """More follows a thought: the call at its end is thinking."""
        (space, raw), self._considered = self._considered, ("", "")
        if raw:
            yield Thinking(space + raw)

    def _spoken(self, text: str) -> Iterator[Piece]:
        """Text but for white space at its end, which waits for what follows.

        Behind a mark empty lines are left out, as are blanks on its own line; indentation is kept.
        """
        text = self._space + text
        if self._at_edge and (visible := text.lstrip()):
            _, line_break, indentation = text[: len(text) - len(visible)].rpartition("\n")
            text = (indentation if line_break else "") + visible
        shown = text.rstrip()
        self._space = text[len(shown) :]
        if shown:
            self._at_edge, self._said = False, True
            if self._waiting.calls:
                yield from self._take_back()
            yield self._piece(shown)

    def _take_back(self) -> Iterator[Piece]:
        """More follows: calls that would have counted at the end are text."""
        if self._waiting.calls:
            yield Remark(CALL_BEFORE_TEXT)
            yield Text(self._waiting.as_text())

    def _piece(self, text: str) -> Piece:
        return Thinking(text) if self.mode == "thinking" else Text(text)


def _finalized(detokenizer: Any) -> str:
    try:
        detokenizer.finalize()
    except KeyError:
        # mlx-lm's byte-level detokenizer knows only byte letters at its end, not those of an added token.
        return ""
    return str(detokenizer.last_segment)
