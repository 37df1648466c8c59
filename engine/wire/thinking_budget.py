"""How many tokens an answer may think for: by its effort, and beside its limit."""

from __future__ import annotations

from collections.abc import Mapping

EFFORT_TOKENS: Mapping[str, int] = {
    "none": 0,
    "minimal": 1024,
    "low": 4096,
    "medium": 16_384,
    "high": 32_768,
    "xhigh": 65_536,
    "max": 131_072,
}
"""Tokens of thinking by effort, where no budget is named."""

_LEFT_SHARE = 4  # of an answer's limit, a quarter is left for what follows the thinking
_LEFT = 4096  # tokens, at most


def within_limit(budget: int, limit: int) -> int:
    """Tokens of thinking in an answer of at most `limit`, so that an answer can follow the thinking."""
    return max(0, min(budget, limit - min(limit // _LEFT_SHARE, _LEFT)))
