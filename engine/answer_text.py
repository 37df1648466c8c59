"""Generated tokens become what a client is shown: text, thinking, tool calls.

One `AnswerText` reads one answer. White space that only lays out the answer (around thinking and around tool
calls) is left out; all other text passes unchanged.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

from engine.answer_calls import CallSection, GivenBack, recovered
from engine.answer_pieces import AnswerStyle, Call, CallCut, Composing, Piece, Stopped, Text, Thinking
from engine.marker_scanner import MarkerScanner
from engine.tool_calls.families import FAMILIES
from engine.tool_calls.stray_calls import MOST_FAILURES, StrayCall, StrayCalls

Mode = Literal["text", "thinking"]

_KEPT_TOKENS = 64  # of text: those that may still turn out to spell an opening mark


class AnswerText:
    """Reads one answer; `detokenizer` is a fresh streaming detokenizer of mlx-lm."""

    def __init__(self, detokenizer: Any, style: AnswerStyle) -> None:
        self._detokenizer = detokenizer
        self._style = style
        self.mode: Mode = "thinking" if style.opens_thinking else "text"
        self.done = False
        self.reasoning_tokens = 0
        self._scanners = _scanners(style)
        self._space = ""  # white space that is shown only if something visible follows
        self._at_edge = style.opens_thinking  # nothing was shown since the last mark
        self._section: CallSection | None = None
        self._at_line_start = True
        self._awaits_json = style.answers_json  # the first text is the beginning of a JSON answer
        self._space_before_call = ""
        self._spelling = _Spelling()
        self._stray = self._new_stray()
        self._no_calls = 0  # texts that looked like calls and were none

    def add(self, token: int) -> list[Piece]:
        """What one more token makes visible."""
        if self.done:
            return []
        if self.mode == "thinking" and self._section is None:
            self.reasoning_tokens += 1
        self._detokenizer.add_token(token)
        segment: str = self._detokenizer.last_segment
        self._spelling.add(token, len(segment), keep=self._section is not None)
        return list(self._until_done(self._read(segment))) if segment else []

    def let_go(self) -> None:
        """No grammar guarantees anything from here on: calls are held until they are whole."""
        self._style = replace(self._style, guaranteed=frozenset())
        if self._section is not None:
            self._section.let_go()

    def finish(self, *, cut: bool = False) -> list[Piece]:
        """What was held back, when the model has ended, or was `cut` at the limit of its answer."""
        return [] if self.done else list(self._until_done(self._finished(cut)))

    def _finished(self, cut: bool) -> Iterator[Piece]:
        yield from self._read(_finalized(self._detokenizer), final=True)
        while self._section is not None:
            section = self._section
            yield from self._placed(section.close(cut=cut))
            self._leave(section)
            yield from self._read(section.rest, final=True)
        yield from self._settle(cut=cut)
        if self._space and not self._at_edge:
            yield self._piece(self._space)
        self.done = True

    def _until_done(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Up to the first call if one only is wanted, and up to a stop."""
        for piece in pieces:
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
                if self._awaits_json and mode == "text" and before.strip():
                    text = before + (mark or "") + self._scanners[mode].flush()
                    self._begin_json()
                    break
                self._spelling.read(len(before) + len(mark or ""))
                if before:
                    self._at_line_start = before.endswith("\n")
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
        yield from self._placed(section.feed(text))
        if not section.over:
            return ""
        self._spelling.read(-len(section.rest))
        self._leave(section)
        return section.rest

    def _pass_mark(self, mark: str) -> Iterator[Piece]:
        style = self._style
        yield from self._settle(cut=False)
        if mark in style.stops and self.mode == "text":
            if self._space:
                yield self._piece(self._space)
            yield Stopped(mark)
        elif mark == style.think_start:
            self._enter("thinking")
        elif mark == style.think_end:
            self._enter("text")
        elif style.family is not None and style.tools and mark in style.family.openings:
            if mark in style.family.bare_openings and not self._at_line_start:
                yield from self._spoken(mark)
                return
            self._space_before_call, self._space = self._space, ""
            self._section = CallSection(style.family, mark, style)
            self._spelling.begin(len(mark))
            yield Composing(mark)
        else:
            self._at_line_start = False  # the mark stands before what follows

    def _placed(self, pieces: Iterable[Piece | GivenBack]) -> Iterator[Piece]:
        """Pieces of calls, with what was given back as text of the mode in which it stood."""
        for piece in pieces:
            if isinstance(piece, GivenBack):
                self._space, self._space_before_call = self._space_before_call, ""
                yield from self._show(piece.text, settled=True)
            elif isinstance(piece, Call):
                yield replace(piece, tokens=self._spelling.end())
            elif isinstance(piece, CallCut):
                yield replace(piece, tokens=self._spelling.end(), before=self._space_before_call)
            else:
                yield piece

    def _leave(self, section: CallSection) -> None:
        self._section = None
        if section.calls:
            self._awaits_json = False
            self._enter("text")
        self._at_line_start = True

    def _enter(self, mode: Mode) -> None:
        self.mode, self._space, self._at_edge = mode, "", True
        self._at_line_start = False  # the mark that led here stands before

    def _show(self, text: str, *, settled: bool = False) -> Iterator[Piece]:
        """Text of the mode we are in, with what in it is a call after all, unless that is `settled`."""
        if self._stray is None or settled or self.mode == "thinking":
            yield from self._spoken(text)
        else:
            yield from self._sorted(self._stray.feed(text), cut=False)

    def _settle(self, *, cut: bool) -> Iterator[Piece]:
        """Decide on text that was held back because it might have become a call."""
        if self._stray is not None:
            yield from self._sorted(self._stray.finish(), cut=cut)
            self._stray = self._new_stray()

    def _new_stray(self) -> StrayCalls | None:
        """What finds calls in the text of a model whose way to write them is not known."""
        unknown = self._style.family is None and bool(self._style.tools)
        return StrayCalls(self._style.tools, FAMILIES) if unknown else None

    def _sorted(self, found: Iterable[str | StrayCall], *, cut: bool) -> Iterator[Piece]:
        for part in found:
            if isinstance(part, str):
                yield from self._spoken(part)
            elif cut or self._no_calls >= MOST_FAILURES:
                yield from self._spoken(part.raw)
            else:
                self._space_before_call, self._space = self._space, ""
                pieces = list(recovered(part.raw, self._style))
                self._no_calls += not any(isinstance(piece, Call) for piece in pieces)
                yield from self._placed(pieces)

    def _spoken(self, text: str) -> Iterator[Piece]:
        """Text but for white space at its end, which waits for what follows."""
        text = self._space + text
        if self._at_edge:
            text = text.lstrip()
        shown = text.rstrip()
        self._space = text[len(shown) :]
        if shown:
            self._at_edge = False
            yield self._piece(shown)

    def _piece(self, text: str) -> Piece:
        return Thinking(text) if self.mode == "thinking" else Text(text)


class _Spelling:
    """Which tokens spelled which text, for the raw text of calls."""

    def __init__(self) -> None:
        self._ends: list[tuple[int, int]] = []  # a token and where its text ends
        self._spelled = 0  # letters that all tokens so far have
        self._read = 0  # letters of them that were read
        self._begun = 0

    def add(self, token: int, letters: int, *, keep: bool) -> None:
        self._spelled += letters
        self._ends.append((token, self._spelled))
        if not keep and len(self._ends) > 2 * _KEPT_TOKENS:
            del self._ends[:-_KEPT_TOKENS]

    def read(self, letters: int) -> None:
        """So many more letters were read; fewer than none where some are to be read again."""
        self._read += letters

    def begin(self, letters: int) -> None:
        """A call begins so many letters before the place that was read last."""
        self._begun = self._read - letters

    def end(self) -> tuple[int, ...]:
        """The tokens of the call that ends at the place that was read last."""
        tokens: list[int] = []
        start = 0
        for token, end in self._ends:
            if end > self._begun and start < self._read:
                tokens.append(token)
            start = end
        self._begun = self._read
        return tuple(tokens)


def _scanners(style: AnswerStyle) -> dict[Mode, MarkerScanner]:
    openings = style.family.openings if style.family is not None and style.tools else ()
    return {
        "text": MarkerScanner([*style.stops, style.think_start, *openings, *style.drop]),
        "thinking": MarkerScanner([style.think_end, *openings, *style.drop]),
    }


def _finalized(detokenizer: Any) -> str:
    try:
        detokenizer.finalize()
    except KeyError:
        # mlx-lm's byte-level detokenizer knows only byte letters at its end, not those of an added token.
        return ""
    return str(detokenizer.last_segment)
