"""Generated tokens become what a client is shown: text, thinking, tool calls.

One `AnswerText` reads one answer. White space that only lays out the answer (around thinking and around tool
calls) is left out; all other text passes unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from engine.marker_scanner import MarkerScanner
from engine.tool_calls.call_format import CallFormat, ParsedCall, UnreadableCall


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    text: str


@dataclass(frozen=True, slots=True)
class Composing:
    """A piece of a tool call as the model writes it; what it says is known at its end."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A whole tool call; `raw` is what the model wrote, with its marks."""

    call: ParsedCall
    raw: str


@dataclass(frozen=True, slots=True)
class Remark:
    """For a trace: what became of text that looked like a tool call."""

    text: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The answer ends here, before the stop string, or after the first call if one only was wanted."""

    stop: str | None


Piece = Text | Thinking | Composing | Call | Remark | Stopped
Mode = Literal["text", "thinking", "call"]


@dataclass(frozen=True, slots=True)
class AnswerStyle:
    """How to read one answer."""

    stops: tuple[str, ...] = ()
    think_start: str = ""
    think_end: str = ""
    opens_thinking: bool = False
    drop: tuple[str, ...] = ()  # marks of the model's own message format
    calls: CallFormat | None = None  # None: no tools were offered, call marks are text
    tools: tuple[dict[str, Any], ...] = ()
    parallel: bool = True


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
        self._raw: list[str] = []
        self._space_before_call = ""
        self._call_from: Literal["text", "thinking"] = "text"

    def add(self, token: int) -> list[Piece]:
        """What one more token makes visible."""
        if self.done:
            return []
        if self.mode == "thinking":
            self.reasoning_tokens += 1
        self._detokenizer.add_token(token)
        segment = self._detokenizer.last_segment
        return list(self._read(segment)) if segment else []

    def finish(self) -> list[Piece]:
        """What was held back, when the model has ended or was cut."""
        if self.done:
            return []
        pieces = list(self._read(_finalized(self._detokenizer), final=True))
        if self.mode == "call":
            pieces += self._end_call("", at_end=True)
        if self.done:
            return pieces
        if self._space and not self._at_edge:
            pieces.append(self._piece(self._space))
        self.done = True
        return pieces

    def _read(self, text: str, *, final: bool = False) -> Iterator[Piece]:
        while True:
            mode = self.mode
            for before, mark in self._scanners[mode].feed(text, final=final):
                if mode == "call":
                    self._raw.append(before)
                    if before:
                        yield Composing(before)
                else:
                    yield from self._show(before)
                if mark is not None:
                    yield from self._pass_mark(mark)
                if self.done:
                    return
                if self.mode != mode:
                    break
            if self.mode == mode:
                return
            text = self._scanners[mode].flush()  # the next mode looks for other marks in it

    def _pass_mark(self, mark: str) -> Iterator[Piece]:
        style = self._style
        if self.mode == "call":
            yield from self._end_call(mark, at_end=False)
        elif mark in style.stops and self.mode == "text":
            if self._space:
                yield self._piece(self._space)
            self.done = True
            yield Stopped(mark)
        elif mark == style.think_start:
            self._enter("thinking")
        elif mark == style.think_end:
            self._enter("text")
        elif style.calls is not None and mark == style.calls.start:
            self._call_from = "thinking" if self.mode == "thinking" else "text"
            self._raw = []
            self._space_before_call, self._space = self._space, ""
            self.mode = "call"
            yield Composing(mark)

    def _enter(self, mode: Mode) -> None:
        self.mode, self._space, self._at_edge = mode, "", True

    def _end_call(self, mark: str, *, at_end: bool) -> Iterator[Piece]:
        calls = self._style.calls
        assert calls is not None
        body = "".join(self._raw)
        if mark and calls.is_unclosed(body):
            self._raw = [body, mark]
            yield Composing(mark)
            return
        raw = calls.start + body + mark
        try:
            if at_end and calls.end:
                raise UnreadableCall("a tool call was cut before its end")
            parsed = calls.parse(body, list(self._style.tools))
        except UnreadableCall as error:
            yield from self._give_back(raw, str(error))
            return
        self._enter("text")
        for call in parsed:
            yield Call(call, raw)
            if not self._style.parallel:
                self.done = True
                yield Stopped(None)
                return

    def _give_back(self, raw: str, why: str) -> Iterator[Piece]:
        self.mode = self._call_from
        yield Remark(f"{why}; it was given back as text")
        self._space, self._space_before_call = self._space_before_call, ""
        yield from self._show(raw)

    def _show(self, text: str) -> Iterator[Piece]:
        """Text of the mode we are in, but for white space at its end, which waits for what follows."""
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


def _scanners(style: AnswerStyle) -> dict[Mode, MarkerScanner]:
    call_start = [style.calls.start] if style.calls else []
    call_end = [style.calls.end] if style.calls else []
    return {
        "text": MarkerScanner([*style.stops, style.think_start, *call_start, *style.drop]),
        "thinking": MarkerScanner([style.think_end, *call_start, *style.drop]),
        "call": MarkerScanner(call_end),
    }


def _finalized(detokenizer: Any) -> str:
    try:
        detokenizer.finalize()
    except KeyError:
        # mlx-lm's byte-level detokenizer knows only byte letters at its end, not those of an added token.
        return ""
    return str(detokenizer.last_segment)
