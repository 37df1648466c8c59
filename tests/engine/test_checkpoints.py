"""Copies of a prompt's state are made where they can be used again, and only there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx_lm.models.cache import ArraysCache, CacheList, KVCache, QuantizedKVCache, RotatingKVCache

from engine.checkpoints import checkpoints, needs_checkpoints, segments


@pytest.mark.parametrize(
    ("cache", "needs"),
    [
        ([KVCache(), KVCache()], False),
        ([QuantizedKVCache()], False),
        ([KVCache(), RotatingKVCache(max_size=8)], True),
        ([ArraysCache(2), KVCache()], True),
        ([CacheList(KVCache(), KVCache())], False),
        ([CacheList(KVCache(), ArraysCache(1))], True),
    ],
)
def test_only_what_can_be_cut_back_does_without(cache: list[object], needs: bool) -> None:
    assert needs_checkpoints(cache) is needs


def test_rows_are_kept_at_the_head_and_the_end_and_in_long_prompts_in_between() -> None:
    assert checkpoints((10, 20, 30), 50, 0, exact_only=False) == {10: "head", 49: "main"}
    assert checkpoints((10, 20), 50, 10, exact_only=False) == {49: "main"}
    assert checkpoints((5000,), 9000, 0, exact_only=False) == {
        4096: "main",
        5000: "head",
        8192: "main",
        8999: "main",
    }


def test_others_keep_the_head_the_last_messages_and_the_end() -> None:
    cuts = (10, 20, 30, 40)
    assert checkpoints(cuts, 50, 0, exact_only=True) == {10: "head", 30: "main", 40: "main", 49: "main"}
    assert checkpoints(cuts, 50, 30, exact_only=True) == {40: "main", 49: "main"}
    assert checkpoints((10,), 50, 0, exact_only=True) == {10: "head", 49: "main"}
    assert checkpoints((), 50, 49, exact_only=True) == {}


@given(
    length=st.integers(1, 40),
    matched=st.integers(0, 39),
    step=st.integers(1, 50),
    cuts=st.lists(st.integers(1, 39), unique=True, max_size=6).map(sorted),
)
def test_segments_are_the_rest_of_the_prompt_cut_where_a_whole_one_is_cut(
    length: int, matched: int, step: int, cuts: list[int]
) -> None:
    tokens, matched = list(range(length)), min(matched, length - 1)

    def parts_behind(start: int) -> list[list[int]]:
        stops = checkpoints(cuts, length, start, exact_only=True)
        assert set(stops) <= {part[0] for part in segments(tokens, start, list(stops), step)[1:]}
        return segments(tokens, start, list(stops), step)

    whole, parts = parts_behind(0), parts_behind(matched)
    assert [token for part in parts for token in part] == tokens[matched:]
    assert all(1 <= len(part) <= step for part in parts)
    assert {part[-1] for part in parts} <= {part[-1] for part in whole}
    assert {part[0] for part in parts[1:]} <= {part[0] for part in whole}
