"""Answers that were broken off, as far as they had come: a repeat of the request goes on from there.

A client that loses its connection repeats its request. Without this each repeat of a long answer would begin
anew, and an answer that takes longer than the client's patience would never end. Nothing is computed for a
client that left, since an interrupt by the user looks the same. Only token ids are kept; their KV is in the
prefix cache. The engine keeps those whose clients left; the proxy keeps those whose engine was killed.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

_KEPT_S = 600.0  # Claude Code repeats at once, or after a pause of at most a minute
_MOST_TOKENS = 1 << 20  # of all answers together


_FORM = ("stream", "stream_options", "max_tokens", "max_completion_tokens", "resume_tokens")


def request_key(body: Mapping[str, Any]) -> str:
    """What a repeated request has in common with the first; it may differ in its form and its limit."""
    content = {name: value for name, value in body.items() if name not in _FORM}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


class AbandonedAnswers:
    """The generated tokens of abandoned answers by the key of their request. Used on one thread."""

    def __init__(self, clock: Callable[[], float], most_tokens: int = _MOST_TOKENS) -> None:
        """`clock` in seconds."""
        self._clock = clock
        self._most_tokens = most_tokens
        self._answers: OrderedDict[str, tuple[float, list[int]]] = OrderedDict()  # the oldest first

    def keep(self, key: str, tokens: Sequence[int]) -> None:
        """Keep what was generated for the request with this key; an empty key is never repeated."""
        if not key or not tokens:
            return
        self._answers.pop(key, None)
        self._answers[key] = (self._clock(), list(tokens))
        while sum(len(kept) for _, kept in self._answers.values()) > self._most_tokens:
            self._answers.popitem(last=False)

    def take(self, key: str) -> list[int]:
        """What the answer to a repeated request begins with; empty if nothing is kept. Only once."""
        oldest = self._clock() - _KEPT_S
        while self._answers and next(iter(self._answers.values()))[0] < oldest:
            self._answers.popitem(last=False)
        _, tokens = self._answers.pop(key, (0.0, []))
        return tokens
