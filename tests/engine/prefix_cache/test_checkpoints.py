"""A prompt is stored at the positions where it can be resumed, and only there."""

from __future__ import annotations

import pytest
from mlx_lm.models.cache import ArraysCache, CacheList, KVCache, QuantizedKVCache, RotatingKVCache

from engine.prefix_cache.checkpoints import needs_checkpoints, store_positions


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
def test_only_caches_that_can_be_trimmed_need_no_checkpoints(cache: list[object], needs: bool) -> None:
    assert needs_checkpoints(cache) is needs


def test_kv_is_stored_at_the_shared_prefix_the_end_and_a_grid_between() -> None:
    assert store_positions((10, 20, 30), 50, 0, exact_only=False) == {10: "head", 49: "main"}
    assert store_positions((10, 20), 50, 10, exact_only=False) == {49: "main"}
    assert store_positions((5000,), 9000, 0, exact_only=False) == {
        4096: "main",
        5000: "head",
        8192: "main",
        8999: "main",
    }


def test_without_a_shared_prefix_the_first_message_has_the_main_kind() -> None:
    boundaries = (10, 20, 30, 40)
    assert store_positions(boundaries, 50, 0, exact_only=False, has_shared_prefix=False) == {49: "main"}
    kept = store_positions(boundaries, 50, 0, exact_only=True, has_shared_prefix=False)
    assert kept == dict.fromkeys((10, 20, 30, 40, 49), "main")


def test_other_caches_store_the_first_and_the_last_messages_and_the_end() -> None:
    boundaries = (10, 20, 30, 40, 45)
    assert store_positions(boundaries, 50, 0, exact_only=True) == {
        10: "head",
        20: "main",
        40: "main",
        45: "main",
        49: "main",
    }
    assert 30 in store_positions(boundaries, 50, 0, exact_only=True, shared=3)
    assert store_positions(boundaries, 50, 40, exact_only=True) == {45: "main", 49: "main"}
    assert store_positions((10,), 50, 0, exact_only=True) == {10: "head", 49: "main"}
    assert store_positions((), 50, 49, exact_only=True) == {}
