"""When Claude Code (2.1.332) compacts a conversation by itself: its window, less two reserves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

OUTPUT_RESERVED = 20_000  # upper limit of the reserve for the longest answer
RESERVED = 13_000  # a further reserve
_RECENT = 5  # turns that growth is taken from


def compacts_at(window: int, output: int) -> int:
    """The tokens at which the client compacts, with answers of at most `output` tokens."""
    return window - min(output, OUTPUT_RESERVED) - RESERVED


def longest_answer(body: Mapping[str, Any]) -> int:
    """The `max_tokens` of a request of any form; 0: there are none."""
    longest = body.get("max_tokens")
    if not isinstance(longest, int) or isinstance(longest, bool):
        return 0
    return longest if 0 < longest < 1 << 53 else 0


def growth(prompts: Sequence[int]) -> int | None:
    """Tokens a turn by the prompts of a conversation, oldest first: the median of the last five that grew."""
    steps = [after - before for before, after in pairwise(prompts)]
    grew = [step for step in steps if step > 0][-_RECENT:]
    middle = sorted(grew)[(len(grew) - 1) // 2 : len(grew) // 2 + 1]
    return round(sum(middle) / len(middle)) if middle else None
