"""A cap on thinking: behind so many tokens of it the model's own end mark is the only text that may follow.

The end is generated like any other token, so the cache and the history have the answer as the model can
continue it. The cap holds for thinking before the first word of the answer, also in several thoughts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np

from engine.constrained.grammar import AnswerGuide
from engine.tool_calls.quoted.thinking_marks import is_tag, marks_that_end
from engine.wire.thinking_budget import within_limit

Spelling = Callable[[int], bytes]
"""The bytes of a token."""

_PATIENCE = 8  # tokens over the budget, for a mark that is half written; and three more for a character
_KEPT = 256  # states; a draft model has fewer guesses taken back


class Guide(Protocol):
    """Computes which tokens an answer may continue with; for one thread at a time."""

    vocab_size: int

    @property
    def failure(self) -> str:
        """Why its grammar does not constrain the answer any more."""
        ...

    @property
    def over(self) -> bool:
        """Whether any token is allowed from here on, for good."""
        ...

    @property
    def capped_thought(self) -> int:
        """Tokens of the thinking that was ended at its cap, 0 if none was."""
        ...

    def advance(self, token: int) -> None:
        """Take the next token of the answer."""
        ...

    def rewind(self, tokens: int) -> None:
        """Take back the last `tokens` tokens."""
        ...

    def fill(self, mask: Any) -> bool:
        """Write the allowed next tokens into a row of bits; false if any token is allowed."""
        ...


@dataclass(frozen=True, slots=True)
class ThinkingMarks:
    """How a model's thinking begins and ends, in bytes and in tokens.

    `skipped` are marks that may stand before a thought. `closing` are the tokens of the end mark on a line of
    its own, `closing_line` those at the beginning of a line. `opening` is the token that is the mark which
    opens a thought, -1 if no single one is.
    """

    starts: tuple[bytes, ...]
    ends: tuple[bytes, ...]  # the longest first
    skipped: tuple[bytes, ...]
    closing: tuple[int, ...]
    closing_line: tuple[int, ...]
    opening: int
    spelling: Spelling
    vocab_size: int

    def cap(self, tokens: int, *, opens_thinking: bool) -> ThinkingCap:
        """A cap of so many tokens; `opens_thinking`: the prompt ends within a thought."""
        return ThinkingCap(self, tokens, opens_thinking)


@dataclass(frozen=True, slots=True)
class ThinkingCap:
    """The cap of one answer."""

    marks: ThinkingMarks
    tokens: int
    opens_thinking: bool = False

    def within(self, limit: int) -> ThinkingCap:
        """The cap in an answer of at most `limit` tokens, the end mark's among them."""
        return replace(self, tokens=within_limit(self.tokens, limit - len(self.marks.closing)))

    def guide(self, inner: AnswerGuide | None, generated: Sequence[int] = ()) -> CappedGuide:
        """A guide for one answer that begins with `generated`, which `inner`, its grammar's, has taken."""
        guide = CappedGuide(self, inner)
        for token in generated:
            guide.follow(token)
        return guide


def thinking_marks_of(
    marks: tuple[str, str],
    layout: Sequence[str],
    *,
    encode: Callable[[str], Sequence[int]],
    vocabulary: Any,
    spelling: Spelling,
    vocab_size: int,
    eos: frozenset[int],
) -> ThinkingMarks | None:
    """The marks of a model in tokens; None if its end mark cannot be written without ending the answer."""
    start, end = marks
    ends = marks_that_end(start, end)

    def spelled(text: str) -> tuple[int, ...]:
        for tokens in (tuple(encode(text)), (vocabulary.get(text, -1),)):
            known = all(0 <= token < vocab_size and token not in eos for token in tokens)
            if tokens and known and b"".join(map(spelling, tokens)) == text.encode():
                return tokens
        return ()

    line = spelled(end)
    if not line:
        return None
    alone = (spelled(f"\n{end}") or line) if is_tag(end) else line
    behind = [mark.removeprefix(end) for mark in ends if mark.startswith(end) and mark != end]
    opening = spelled(start)
    return ThinkingMarks(
        (start.encode(),),
        tuple(sorted((mark.encode() for mark in ends), key=len, reverse=True)),
        tuple(sorted((mark.encode() for mark in {*layout, *behind} if mark), key=len, reverse=True)),
        alone,
        line,
        opening[0] if len(opening) == 1 else -1,
        spelling,
        vocab_size,
    )


@dataclass(frozen=True, slots=True)
class _State:
    """Where an answer is: `text` is the end of a thought, or what may yet become the mark of one."""

    phase: Literal["before", "inside", "over"]
    text: bytes = b""
    thought: int = 0  # tokens
    written: int = 0  # tokens of the end mark that was forced
    mark: tuple[int, ...] = ()
    capped: int = 0  # tokens of thinking when the cap ended it


class CappedGuide:
    """An answer's guide with a cap on its thinking; a grammar's guide within it says the rest."""

    def __init__(self, cap: ThinkingCap, inner: AnswerGuide | None) -> None:
        self.vocab_size = cap.marks.vocab_size if inner is None else inner.vocab_size
        self._cap = cap
        self._marks = cap.marks
        self._inner = inner
        self._longest = max(map(len, cap.marks.ends))
        self._state = self._forced_on(_State("inside" if cap.opens_thinking else "before"))
        self._states: deque[_State] = deque(maxlen=_KEPT)
        self._passed_over = 0  # tokens behind the last state

    @property
    def failure(self) -> str:
        """Why the grammar does not constrain the answer any more."""
        return "" if self._inner is None else self._inner.failure

    @property
    def over(self) -> bool:
        """Whether any token is allowed from here on, for good."""
        return self._state.phase == "over" and (self._inner is None or self._inner.over)

    @property
    def capped_thought(self) -> int:
        """Tokens of the thinking that was ended at its cap, 0 if none was."""
        return self._state.capped

    def advance(self, token: int) -> None:
        """Take the next token of the answer."""
        if self._inner is not None:
            self._inner.advance(token)
        self.follow(token)

    def follow(self, token: int) -> None:
        """Take a token that the grammar has taken already."""
        if self._state.phase == "over":
            self._passed_over += 1
            return
        self._states.append(self._state)
        self._state = self._forced_on(self._next(self._state, token))

    def rewind(self, tokens: int) -> None:
        """Take back the last `tokens` tokens."""
        if self._inner is not None:
            self._inner.rewind(tokens)
        unseen = min(tokens, self._passed_over)
        self._passed_over -= unseen
        for _ in range(tokens - unseen):
            self._state = self._states.pop()

    def fill(self, mask: Any) -> bool:
        """Write the allowed next tokens into a row of bits; false if any token is allowed."""
        bounded = self._inner is not None and self._inner.fill(mask)
        bits = mask.view(np.uint32)[0]
        state = self._state
        if state.mark:
            token = state.mark[state.written]
            if bounded and not bits[token // 32] >> np.uint32(token % 32) & 1:
                return bounded  # the grammar cannot go on without what it asks for
            bits[:] = 0
            bits[token // 32] = np.uint32(1 << token % 32)
            return True
        again = self._marks.opening
        if state.phase == "before" and state.capped and again >= 0:  # no second thought behind the cap
            if not bounded:
                bits[:] = np.uint32(0xFFFFFFFF)
            bits[again // 32] &= np.uint32(~(1 << again % 32) & 0xFFFFFFFF)
            return True
        return bounded

    def _next(self, state: _State, token: int) -> _State:
        text = state.text + self._marks.spelling(token)
        if state.phase == "before":
            return self._opened(replace(state, text=text))
        thought = state.thought + 1
        for end in self._marks.ends:
            if (at := text.find(end)) >= 0:
                ended = _State("before", text[at + len(end) :], state.thought, capped=state.capped)
                if state.mark and state.mark[state.written] == token:
                    ended = replace(ended, capped=ended.capped or max(1, thought - len(state.mark)))
                return self._opened(ended)
        kept = text[-self._longest :]
        if state.mark and state.mark[state.written] == token:
            return replace(state, text=kept, thought=thought, written=state.written + 1)
        return _State("inside", kept, thought, capped=state.capped)

    def _opened(self, state: _State) -> _State:
        """Whether what stands behind the last thought, or at the answer's beginning, opens a thought."""
        text, before = state.text, b""
        while text != before:
            before, text = text, text.lstrip()
            text = text.removeprefix(next(filter(text.startswith, self._marks.skipped), b""))
        for start in self._marks.starts:
            if text.startswith(start):
                return replace(state, phase="inside", text=text[len(start) :])
        begun = any(mark.startswith(text) for mark in (*self._marks.starts, *self._marks.skipped))
        return replace(state, phase="before" if begun or not text else "over", text=text)

    def _forced_on(self, state: _State) -> _State:
        """The state, with the end mark begun where the cap is reached."""
        over = state.thought - self._cap.tokens
        if state.phase != "inside" or state.mark or over < 0:
            return state
        if over < _PATIENCE and self._half_mark(state.text):
            return state
        if over < _PATIENCE + 3 and _half_character(state.text):
            return state
        at_line = state.thought > 0 and state.text.endswith(b"\n")
        return replace(state, mark=self._marks.closing_line if at_line else self._marks.closing, written=0)

    def _half_mark(self, text: bytes) -> bool:
        return any(text.endswith(end[:length]) for end in self._marks.ends for length in range(1, len(end)))


def _half_character(text: bytes) -> bool:
    """Whether text ends within a character of UTF-8."""
    for back in range(1, min(4, len(text) + 1)):
        byte = text[-back]
        if byte & 0xC0 != 0x80:
            length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return length > back
    return False
