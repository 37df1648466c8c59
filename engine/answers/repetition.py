"""Answers that go round in circles: the last tokens are one passage over and over.

Only exact repetition counts. Lines that differ in a number are what lists, logs and tables are made of, and a
model that counts its attempts cannot be distinguished from one that writes such a list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LONGEST = 512  # tokens of a passage that is looked for
TIMES, TIMES_IN_CALLS = 8, 64  # that it must have been written
BRIEF, LESS_IF_BRIEF = 4, 5  # a word or two, over and over in a text, is a loop after a fifth of the tokens
MORE_IN_CALLS = 8  # times as many tokens in arguments of calls, which may be data

ENDED = "[This answer was ended because it repeated itself.]"
"""What the reader of such an answer sees at its end."""


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """When tokens are a loop: the last ones are one passage of at most `longest` tokens, again and again.

    It must have been written at least `times` times, and make up at least `tokens` tokens in all; the last
    time need not be whole. A passage of up to `BRIEF` tokens needs `brief_tokens` in all, if that is set.
    Without `runs` one token over and over is none.
    """

    tokens: int
    times: int
    longest: int = LONGEST
    runs: bool = True
    brief_tokens: int = 0

    def needed(self, period: int) -> int:
        """Tokens that a loop of this period takes in all."""
        tokens = self.brief_tokens if self.brief_tokens and period <= BRIEF else self.tokens
        return max(self.times * period, tokens)


class LoopDetector:
    """Takes tokens one at a time and reports the token that completes a loop. Some microseconds a token."""

    def __init__(self, limits: LoopLimits) -> None:
        self.limits = limits
        self.period = 0  # tokens of the passage, once a loop was found
        self.length = 0  # tokens of the loop
        periods = range(1, limits.longest + 1)
        self._needed = np.array([limits.needed(period) - period for period in periods], dtype=np.int64)
        # The last tokens, the newest first, begin at `_at`, and grow to the left.
        self._tokens = np.full(4 * limits.longest, -1, dtype=np.int64)
        self._at = len(self._tokens) - limits.longest
        self._runs = np.zeros(limits.longest, dtype=np.int64)  # for each period: how many fit it at the end
        self._least = int(self._needed.min())
        self._seen = 0

    def add(self, token: int) -> bool:
        """Whether the answer loops with this token."""
        limits = self.limits
        self._runs += 1
        self._runs *= self._tokens[self._at : self._at + limits.longest] == token
        self._push(token)
        self._seen += 1
        if self._seen <= self._least:
            return False
        found = self._runs >= self._needed
        if not found.any():
            return False
        first = int(found.argmax())
        if not limits.runs and int(self._runs[0]) >= int(self._runs[first]) + first:
            return False
        self.period = first + 1
        self.length = int(self._runs[first]) + self.period
        return True

    def _push(self, token: int) -> None:
        if self._at == 0:
            kept = self.limits.longest
            self._at = len(self._tokens) - kept
            self._tokens[self._at :] = self._tokens[:kept]
        self._at -= 1
        self._tokens[self._at] = token


class LoopGuard:
    """Watches one answer, with more patience inside of calls: a file may well be full of zeros.

    There a run of one token alone never counts, and the passage must be written more often and fill more.
    The same whole call over and over is no data: such a loop is found behind its calls, as in a text.
    """

    def __init__(self, tokens: int) -> None:
        """A loop takes at least `tokens` tokens, fewer if its passage is brief, and a multiple in calls."""
        self._text = LoopDetector(LoopLimits(tokens, TIMES, brief_tokens=max(1, tokens // LESS_IF_BRIEF)))
        # Both see the whole answer: what is alike in a text and in a call is hardly ever a loop of the two.
        self._all = LoopDetector(LoopLimits(MORE_IN_CALLS * tokens, TIMES_IN_CALLS, runs=False))
        self.found: LoopDetector | None = None

    def add(self, token: int, *, in_call: bool) -> bool:
        """Take the next token; true at the one with which the answer loops."""
        loops, loops_in_call = self._text.add(token) and not in_call, self._all.add(token)
        if loops or loops_in_call:
            self.found = self._text if loops else self._all
        return loops or loops_in_call

    @property
    def why(self) -> str:
        """The loop that was found, in words."""
        assert self.found is not None
        return (
            f"the answer was ended because it repeated itself: its last {self.found.length} tokens are the"
            f" same {self.found.period} over and over (loopTokens sets how many it takes)"
        )
