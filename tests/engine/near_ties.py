"""Whether two greedy answers differ in nothing but a choice between logits that are as good as equal.

Rows that were decoded, alone or beside others, and rows that a chunk computed differ in their last bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

TIE = 1e-4
"""Logits of the tiny models so close may change places; usual ones are some tenths apart."""


def is_tie(model: Any, prompt: Sequence[int], expected: Sequence[int], got: Sequence[int]) -> bool:
    """Whether the tokens at the first difference were a tie for this model. On the thread that loaded it."""
    pairs = enumerate(zip(expected, got, strict=False))
    place = next((place for place, (first, second) in pairs if first != second), None)
    if place is None:
        return False
    logits = model(mx.array([[*prompt, *expected[:place]]]))[0, -1]
    return bool(mx.abs(logits[expected[place]] - logits[got[place]]).item() < TIE)
