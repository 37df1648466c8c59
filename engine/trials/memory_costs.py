"""Measure the memory cost of a model's requests, from its caches and MLX's peak during short runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_map
from mlx_lm.models.cache import ConcatenateKVCache, QuantizedKVCache, RotatingKVCache

from engine.memory_budget.costs import STEP_TOKENS, RequestCost
from engine.models.loading import LoadedModel
from engine.prefix_cache.layers import cache_arrays, has_kv, leaves
from engine.scheduling.runner import ModelRunner

_SAMPLE = 32  # tokens; with the first one they fit into a cache without growth
_DEEP_SAMPLE, _DEPTH = 16, 4096  # at this depth attention dominates, if it is not fused
_CLEARLY = 1.25
_ARRAYS, _ARRAYS_QUANTIZED = 2, 6  # keys and values; with scales and biases
_DECODED_SLOTS = 8  # slots that the cost of a step assumes
_LOGIT_BYTES = 4 * 4  # float32, four times: logits, their logarithms, a sampler's sorted copies


def request_cost(loaded: LoadedModel, chunk_size_at: Callable[[int], int]) -> RequestCost:
    """Run the model on some tokens and measure their memory; on the model's thread."""
    runner = ModelRunner(loaded)
    cache = runner.new_cache()
    most = loaded.most_tokens or 2 * _DEPTH
    sample = min(_SAMPLE, (most - 1) // 2)
    _run(runner, cache, 1)
    shallow = _run(runner, cache, sample)
    layers = list(leaves(cache))
    # Run the same chunk near the start and deep in a context. If it takes clearly more there, attention is
    # not fused, and the difference is for pairs of its tokens and those before. Arrays are freed at varying
    # times, so ignore a small difference: times a long context it would be gigabytes.
    deep_sample, depth = min(_DEEP_SAMPLE, sample), min(_DEPTH, most - sample)
    near = _run(runner, cache, deep_sample)
    _deepen(layers, depth)
    far = _run(runner, cache, deep_sample)
    pair = far / deep_sample / depth if far > _CLEARLY * near else 0.0
    return RequestCost(
        kv_bytes=sum(_kv_bytes(layer) for layer in layers if has_kv(layer)),
        windows=tuple(
            (_kv_bytes(layer), int(layer.max_size)) for layer in layers if isinstance(layer, RotatingKVCache)
        ),
        state_bytes=sum(
            _nbytes(layer) for layer in layers if not has_kv(layer) and not isinstance(layer, RotatingKVCache)
        ),
        chunk_bytes=shallow // sample,
        pair_bytes=pair,
        step_bytes=loaded.vocab_size * _LOGIT_BYTES * _DECODED_SLOTS,
        chunk_size_at=chunk_size_at,
    )


def weight_bytes(loaded: LoadedModel) -> tuple[int, int, int]:
    """Bytes of the model's weights, bytes of its draft model's weights, and the number of their arrays."""
    own = _arrays(loaded.model.parameters())
    draft = _arrays(loaded.draft.model.parameters()) if loaded.draft is not None else []
    return sum(array.nbytes for array in own), sum(array.nbytes for array in draft), len(own) + len(draft)


def arrays_of_a_request(loaded: LoadedModel) -> int:
    """The number of arrays of a request's cache; each is a buffer of the GPU."""
    layers = list(leaves(ModelRunner(loaded).new_cache()))
    return sum(_ARRAYS_QUANTIZED if type(layer) is QuantizedKVCache else _ARRAYS for layer in layers)


def _run(runner: ModelRunner, cache: list[Any], tokens: int) -> int:
    """Peak bytes during a chunk above those before it."""
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    runner(mx.zeros((1, tokens), mx.int32), cache=cache)
    mx.eval(cache_arrays(cache))
    return max(0, mx.get_peak_memory() - before)


def _deepen(layers: Sequence[Any], depth: int) -> None:
    """Extend the KV of layers to so many tokens with zeros, with room for another step."""
    for layer in layers:
        if has_kv(layer):
            room = depth + (0 if type(layer) is ConcatenateKVCache else STEP_TOKENS)
            layer.keys, layer.values = tree_map(
                lambda array, room=room: mx.zeros((*array.shape[:-2], room, array.shape[-1]), array.dtype),
                (layer.keys, layer.values),
            )
            layer.offset = depth
    mx.eval(cache_arrays(layers))


def _kv_bytes(layer: Any) -> int:
    """Bytes of one token's KV."""
    arrays = _arrays([layer.keys, layer.values])
    return sum(array.nbytes // max(1, array.shape[-2]) for array in arrays)


def _nbytes(layer: Any) -> int:
    state = layer.state if hasattr(layer, "state") else list(vars(layer).values())
    return sum(array.nbytes for array in _arrays(state))


def _arrays(tree: Any) -> Sequence[mx.array]:
    return [leaf for _, leaf in tree_flatten(tree) if isinstance(leaf, mx.array)]
