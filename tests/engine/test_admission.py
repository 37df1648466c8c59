"""A miss is told in words, whatever the tokenizer makes of its tokens."""

from __future__ import annotations

from engine.admission import miss_in_words
from engine.prefix_cache import MissAt

MISS = MissAt("diverged", 3, before=(1, 2), now=(1, 3))


def test_both_sides_are_decoded_and_shortened() -> None:
    words = miss_in_words(MISS, lambda tokens: "x" * 100 if 3 in tokens else "short")
    assert words == {"reason": "diverged", "position": 3, "before": "short", "now": "x" * 39 + "…"}


def test_a_tokenizer_that_fails_costs_the_words_and_nothing_else() -> None:
    def fail(tokens: list[int]) -> str:
        raise KeyError(tokens[0])

    assert miss_in_words(MISS, fail) == {"reason": "diverged", "position": 3, "before": "", "now": ""}
