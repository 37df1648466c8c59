"""The tool calls of one answer: read as they are written, repaired where they are broken, or returned
as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from engine.answers.pieces import (
    AnswerStyle,
    Call,
    CallOpened,
    CallPart,
    Composing,
    Piece,
    Remark,
    TruncatedCall,
)
from engine.tool_calls.reading.family import CallReader, Family
from engine.tool_calls.reading.pieces import CallArguments, CallBegin, CallBroken, CallEnd, CallPiece
from engine.tool_calls.recovery.misfits import MisfitCall, misfit_call, misfit_calls
from engine.tool_calls.recovery.recovery import Unrecovered, recover_arguments, recover_text


@dataclass(frozen=True, slots=True)
class ReturnedText:
    """Text that was meant as a call and is none."""

    text: str


class CallSection:
    """Reads what stands behind one opening mark, up to the end of its calls."""

    def __init__(self, family: Family, opening: str, style: AnswerStyle) -> None:
        self.calls = 0
        self._family = family
        self._style = style
        self._reader: CallReader = family.reader(opening, style.tools)
        self._opened = False
        self._doubtful = False  # the open call is not constrained any more
        self._unsent: list[str] = []
        self._truncated = False
        self._text = ""  # of the section's calls so far; empty if one of them was none

    @property
    def over(self) -> bool:
        """Whether the calls have ended."""
        return self._reader.over

    @property
    def rest(self) -> str:
        """The text behind them that was fed already."""
        return self._reader.rest

    def lift_constraints(self) -> None:
        """No grammar constrains the rest: that of an open call is buffered until it is whole."""
        self._style = replace(self._style, constrained=frozenset())
        self._doubtful = self._opened

    def feed(self, text: str) -> Iterator[Piece | ReturnedText]:
        """Take the next text."""
        pieces = self._reader.feed(text)
        for piece in pieces:
            yield from self._shown(piece)
        if not self._opened and not self._reader.over and text:
            yield Composing(text)

    def close(self, *, truncated: bool) -> Iterator[Piece | ReturnedText]:
        """The answer ends here, at its limit if it is `truncated`: then nothing is made whole."""
        self._truncated = truncated
        for piece in self._reader.close(truncated=truncated):
            yield from self._shown(piece)

    def _shown(self, piece: CallPiece) -> Iterator[Piece | ReturnedText]:
        match piece:
            case CallBegin(name):
                self._opened = name in self._style.constrained
                if self._opened:
                    yield CallOpened(name)
            case CallArguments(text):
                if self._doubtful:
                    self._unsent.append(text)
                elif self._opened:
                    yield CallPart(text)
            case CallEnd(_, _, raw):
                yield from self._noted(raw, self._ended(piece))
            case CallBroken(raw, why):
                yield from self._noted(raw, self._broken(raw, why))

    def _noted(self, raw: str, pieces: Iterator[Piece | ReturnedText]) -> Iterator[Piece | ReturnedText]:
        calls = self.calls
        yield from pieces
        known = bool(self._text) or not calls
        self._text = self._text + raw if known and self.calls > calls else ""

    def _ended(self, call: CallEnd) -> Iterator[Piece | ReturnedText]:
        opened, self._opened = self._opened, False
        doubtful, self._doubtful = self._doubtful, False
        if doubtful and not self._style.tools.judge(call.name, call.arguments).usable:
            yield TruncatedCall(call.raw)
            return
        if opened:
            if self._unsent:
                yield CallPart("".join(self._unsent))
                self._unsent = []
            self.calls += 1
            yield Call(call.name, call.arguments, call.raw, opened=True)
            return
        found = recover_arguments(call.name, call.arguments, self._style.tools)
        if isinstance(found, Unrecovered):
            misfit = misfit_call(call.name, call.arguments, self._style.tools)
            if misfit is None:
                yield from _return_as_text(call.raw, found.why)
                return
            self.calls += 1
            yield from _passed_on([misfit], call.raw)
            return
        self.calls += 1
        yield Call(found.name, found.arguments, call.raw, repairs=found.repairs)

    def _broken(self, raw: str, why: str) -> Iterator[Piece | ReturnedText]:
        if self._opened:
            self._opened = self._doubtful = False
            yield TruncatedCall(raw)
        elif self._truncated:
            yield from _return_as_text(raw, why)
        else:
            # A later call of a section has its form only with the calls before it.
            skip = self.calls if self._text else 0
            for piece in recovered(raw, self._style, self._family, why, of=self._text + raw, skip=skip):
                self.calls += isinstance(piece, Call)
                yield piece


def recovered(
    raw: str,
    style: AnswerStyle,
    family: Family | None = None,
    why: str = "",
    *,
    of: str = "",
    skip: int = 0,
) -> Iterator[Piece | ReturnedText]:
    """The calls that `raw` is meant to be, each with all of it as its raw text, or the text again.

    `of` is what is read, if that is not `raw`; the first `skip` calls in it are known already.
    """
    found = recover_text(of or raw, style.tools, family)
    if isinstance(found, Unrecovered):
        misfits = misfit_calls(of or raw, style.tools, family or style.family)[skip:]
        yield from _passed_on(misfits, raw) if misfits else _return_as_text(raw, why or found.why)
        return
    for call in found[skip:]:
        yield Call(call.name, call.arguments, raw, repairs=call.repairs)


def without_repeats(
    pieces: Iterable[Piece | ReturnedText], written: Iterable[Call]
) -> Iterator[Piece | ReturnedText]:
    """The pieces without the calls that are written already: it repeats them, and each is meant once."""
    earlier = {(call.name, call.arguments) for call in written}
    for piece in pieces:
        if isinstance(piece, Call) and (piece.name, piece.arguments) in earlier:
            yield Remark(
                f"a call of {piece.name!r} was written once more without its marks, which counts as one"
            )
        else:
            yield piece


def _passed_on(misfits: Iterable[MisfitCall], raw: str) -> Iterator[Piece | ReturnedText]:
    for misfit in misfits:
        if not misfit.verdict.usable:
            yield Remark(f"a call of {misfit.name!r} was passed on as it is: {misfit.verdict.detail}")
        yield Call(misfit.name, misfit.arguments, raw)


def _return_as_text(raw: str, why: str) -> Iterator[Piece | ReturnedText]:
    yield Remark(f"a tool call was returned as text: {why}")
    yield ReturnedText(raw)
