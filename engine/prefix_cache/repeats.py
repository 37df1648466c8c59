"""Prompts of auxiliary requests, by which a beginning that comes a second time is recognised.

Most of these requests come once: their token ids are remembered, and what they compute is kept only where
there is room, as the first to be evicted. Others repeat: a hook's question behind the whole conversation
after each turn, a check with the same long instructions. The second prompt with the same beginning keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.prefix_cache.interface import TokenArray, common_prefix

WORTH_KEEPING = 256
"""Tokens that a common beginning has at least."""

_MOST_TOKENS = 1 << 20  # of all remembered prompts together: 4 MiB


@dataclass(frozen=True, slots=True)
class Worth:
    """What of an auxiliary prompt is worth keeping, in tokens from its beginning.

    The first `repeated` came before at `since`, by the cache's clock. What goes on behind them, up to `once`,
    is worth the room that is free.
    """

    repeated: int
    since: int
    once: int


@dataclass(frozen=True, slots=True)
class _Earlier:
    tokens: TokenArray
    before_last: int  # where its last message begins
    since: int


class RepeatedPrompts:
    """The last prompts of auxiliary requests. Used on the model's thread."""

    def __init__(self, most_tokens: int = _MOST_TOKENS) -> None:
        self._most_tokens = most_tokens
        self._earlier: list[_Earlier] = []  # the oldest first

    def add(self, prompt: TokenArray, boundaries: Sequence[int], clock: int) -> Worth:
        """Remember a prompt; what of it is worth keeping, by the prompts before it.

        That is what it has in common with one of them, and where there is room, all of it. A prompt that goes
        on behind all but the last message of an earlier one belongs to a growing conversation: worth keeping
        is then all but its last message, as the next one will go on there. `boundaries` are the ends of its
        messages, `clock` the time before it.
        """
        ends = [end for end in boundaries if 0 < end < len(prompt)]
        new = _Earlier(prompt, ends[-2] if len(ends) > 1 else 0, clock)
        shared, best = 0, None
        for one in reversed(self._earlier):
            common = common_prefix(one.tokens, prompt[:-1])
            if common > shared:
                shared, best = common, one
        self._remember(new, replaces=best if best is not None and _goes_on(best, shared) else None)
        if best is None or shared < WORTH_KEEPING:
            return Worth(0, clock, len(prompt) if len(prompt) >= WORTH_KEEPING else 0)
        if _goes_on(best, shared):
            return Worth(max(shared, new.before_last), best.since, 0)
        return Worth(shared, best.since, len(prompt))

    def _remember(self, new: _Earlier, replaces: _Earlier | None) -> None:
        self._earlier = [one for one in self._earlier if one is not replaces]
        self._earlier.append(new)
        total = sum(len(one.tokens) for one in self._earlier)
        while total > self._most_tokens:
            total -= len(self._earlier.pop(0).tokens)


def _goes_on(earlier: _Earlier, shared: int) -> bool:
    """Whether a prompt with so many tokens in common has all but the last message of an earlier one."""
    return shared >= earlier.before_last > 0
