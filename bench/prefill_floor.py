"""The least that must be prefilled: the floors for measuring a prefix cache.

A prompt is computed from where it diverges from everything that is cached, and at least its last token is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Turn = tuple[int, Sequence[int]]
"""The session that sends it, and its prompt."""


def floor(prompts: Sequence[Sequence[int]]) -> int:
    """The tokens that must be computed for `prompts`, sent in order, if everything is cached."""
    return sum(floors(prompts))


def floors(prompts: Sequence[Sequence[int]]) -> list[int]:
    """The same for each of them."""
    seen: list[Any] = []
    computed: list[int] = []
    for prompt in prompts:
        tokens = np.asarray(prompt, np.int32)
        computed.append(_computed(tokens, seen))
        seen.append(tokens)
    return computed


def floor_of_lately_used(turns: Sequence[Turn], kept: int) -> int:
    """The same if the `kept` most recently used sessions are cached whole, and the shared prefix always.

    The shared prefix is the common beginning of all prompts; the first prompt computes it.
    """
    return _floor_of_sessions(turns, kept, lambda sessions, _: next(iter(sessions)))


def floor_of_foresight(turns: Sequence[Turn], kept: int) -> int:
    """The same if the sessions that will be used soonest are cached, which no cache can know."""

    def latest_needed(sessions: dict[int, Any], now: int) -> int:
        coming = [session for session, _ in turns[now + 1 :]]
        return max(sessions, key=lambda one: coming.index(one) if one in coming else len(turns))

    return _floor_of_sessions(turns, kept, latest_needed)


def _floor_of_sessions(turns: Sequence[Turn], kept: int, victim: Any) -> int:
    prompts = [np.asarray(prompt, np.int32) for _, prompt in turns]
    head = prompts[0][: min(_common(prompts[0], other) for other in prompts)] if prompts else None
    sessions: dict[int, Any] = {}  # the most recently used one is the last
    computed = 0
    for now, (session, _) in enumerate(turns):
        prompt = prompts[now]
        computed += _computed(prompt, [*sessions.values(), *([head] if now else [])])
        sessions.pop(session, None)
        sessions[session] = prompt
        if len(sessions) > kept:
            del sessions[victim(sessions, now)]
    return computed


def _computed(tokens: Any, kept: Sequence[Any]) -> int:
    shared = max((_common(tokens, other) for other in kept), default=0)
    return len(tokens) - min(shared, len(tokens) - 1)


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """The length of the common prefix of two prompts, in tokens."""
    return _common(np.asarray(first, np.int32), np.asarray(second, np.int32))


def _common(first: Any, second: Any) -> int:
    length = min(len(first), len(second))
    differing = np.flatnonzero(first[:length] != second[:length])
    return int(differing[0]) if len(differing) else length
