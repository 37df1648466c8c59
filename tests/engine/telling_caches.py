"""Prompt caches whose KV and checkpoints encode their tokens, so that a test detects a mix-up."""

from __future__ import annotations

import zlib
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.models.cache import ArraysCache, CacheList, KVCache, QuantizedKVCache


def fingerprints(tokens: list[int]) -> list[float]:
    """For each token a number that tells all tokens up to it."""
    return [float(zlib.crc32(bytes(tokens[: n + 1])) % 2**20) for n in range(len(tokens))]


def computed(tokens: list[int], *, with_state: bool) -> list[Any]:
    """What a model would leave: rows, and perhaps a state, that tell what they were computed from."""
    row = mx.array(fingerprints(tokens)).reshape(1, 1, -1, 1)
    plain_layer = KVCache()
    plain_layer.update_and_fetch(row, -row)
    quantized = QuantizedKVCache(group_size=64, bits=8)
    wide = mx.broadcast_to(row, (1, 1, len(tokens), 64))
    quantized.update_and_fetch(wide, wide)
    if not with_state:
        return [plain_layer, CacheList(KVCache.from_state(plain_layer.state), quantized)]
    recurrent_layer = ArraysCache(1)
    recurrent_layer[0] = mx.array([[fingerprints(tokens)[-1]]])
    return [plain_layer, recurrent_layer]


def holds(cache: list[Any], tokens: list[int]) -> bool:
    """Whether a restored cache is what the model would have left for `tokens`."""
    wanted = computed(tokens, with_state=isinstance(cache[1], ArraysCache))
    keys, values = (part[..., : len(tokens), :] for part in cache[0].keys_and_values())
    same = bool(mx.array_equal(keys, wanted[0].keys_and_values()[0])) and bool(mx.array_equal(values, -keys))
    if isinstance(cache[1], ArraysCache):
        return same and bool(mx.array_equal(cache[1][0], wanted[1][0]))
    inner = zip(
        tree_flatten(cache[1].caches[1].keys_and_values()),
        tree_flatten(wanted[1].caches[1].keys_and_values()),
        strict=True,
    )
    return same and all(bool(mx.array_equal(got, want)) for (_, got), (_, want) in inner)
