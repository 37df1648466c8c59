"""The parts of a prompt cache: KV, which can be split by token, and checkpoints, which cannot.

A layer of plain attention has KV for each token; any span of it can be stored and joined to another. A
sliding window or a recurrent layer has one state for all tokens up to an exact position; a checkpoint is a
copy of these layers. mlx-lm's `CacheList` nests layers of either sort.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_map
from mlx_lm.models.cache import CacheList, ConcatenateKVCache, KVCache, QuantizedKVCache

KV = list[tuple[mx.array, ...]]
"""The arrays of each layer with KV; tokens are the second axis from the end."""

Checkpoint = list[Any]
"""The layers without KV, as mlx-lm's cache objects."""

_KV_LAYERS = (KVCache, QuantizedKVCache, ConcatenateKVCache)
_STEP = 256  # tokens by which mlx-lm's caches grow; a restored one has room for the next ones


@dataclass(frozen=True, slots=True)
class Layout:
    """The layers of a model's caches: classes, nesting and constructor arguments."""

    layers: tuple[Any, ...]
    has_checkpoint: bool


def layout_of(cache: Sequence[Any]) -> Layout:
    """The layout of a prompt cache."""
    described = tuple(_describe(layer) for layer in cache)
    return Layout(described, any(not has_kv(layer) for layer in leaves(cache)))


def dtypes_of(cache: Sequence[Any]) -> list[str]:
    """The number types of a prompt cache's KV."""
    return [str(array.dtype) for layer in leaves(cache) if has_kv(layer) for array in _arrays(layer)]


def kv_between(cache: Sequence[Any], start: int, stop: int) -> KV:
    """The KV of tokens `start` to `stop`, as separate arrays, not yet evaluated."""
    return [
        tuple(_copy_range(array, start, stop) for array in _arrays(layer))
        for layer in leaves(cache)
        if has_kv(layer)
    ]


def split_kv(kv: KV, at: int) -> tuple[KV, KV]:
    """Split KV into the first `at` tokens and the others."""
    length = kv[0][0].shape[-2] if kv else at
    return slice_kv(kv, 0, at), slice_kv(kv, at, length)


def slice_kv(kv: KV, start: int, stop: int) -> KV:
    """A range of a span's KV, as separate arrays, not yet evaluated."""
    return [tuple(_copy_range(array, start, stop) for array in layer) for layer in kv]


def has_checkpoint(layers: Sequence[Any]) -> bool:
    """Whether a layout has layers without KV."""
    return any(kind not in _KV_LAYERS for kind, _ in _flat(layers))


def checkpoint_of(cache: Sequence[Any]) -> Checkpoint:
    """A copy of the layers without KV; arrays are shared until one side writes to them."""
    copies = [copy.deepcopy(layer) for layer in leaves(cache) if not has_kv(layer)]
    for layer in copies:
        layer.state = tree_map(lambda leaf: _copy(leaf) if isinstance(leaf, mx.array) else leaf, layer.state)
    return copies


def assemble(cache_layout: Layout, spans: Sequence[KV], tokens: int, checkpoint: Checkpoint) -> list[Any]:
    """A prompt cache of `tokens` tokens from spans in order (the last may be longer) and a checkpoint."""
    parts = iter(range(sum(1 for layer in _flat(cache_layout.layers) if layer[0] in _KV_LAYERS)))
    states = iter(copy.deepcopy(checkpoint))

    def build(described: Any) -> Any:
        kind, detail = described
        if kind is CacheList:
            return CacheList(*[build(layer) for layer in detail])
        if kind not in _KV_LAYERS:
            return next(states)
        number = next(parts)
        joined = [
            _concatenated([span[number][n] for span in spans], tokens) for n in range(len(spans[0][number]))
        ]
        return _with_kv(kind, detail, joined, tokens)

    return [build(layer) for layer in cache_layout.layers]


def nbytes_of(kv: KV, checkpoint: Checkpoint) -> int:
    """Bytes of KV and a checkpoint."""
    return sum(array.nbytes for array in arrays_of(kv, checkpoint))


def arrays_of(kv: KV, checkpoint: Checkpoint) -> list[mx.array]:
    """The arrays of KV and a checkpoint, each a separate buffer."""
    leaves = (leaf for layer in checkpoint for _, leaf in tree_flatten(layer.state))
    return [
        *(array for layer in kv for array in layer),
        *(leaf for leaf in leaves if isinstance(leaf, mx.array)),
    ]


def cache_arrays(cache: Sequence[Any]) -> list[Any]:
    """The arrays of a prompt cache, for `mx.eval`: its states, or the attributes of a class without one."""
    return [layer.state if hasattr(layer, "state") else list(vars(layer).values()) for layer in cache]


def evaluate(kv: KV, checkpoint: Checkpoint) -> None:
    """Evaluate arrays to store, so that they do not keep their sources alive.

    Synchronizes, so that a fault of the device, also in earlier work, is raised here.
    """
    mx.eval(kv, [layer.state for layer in checkpoint])
    mx.synchronize()


def leaves(cache: Sequence[Any]) -> Iterator[Any]:
    """The layers of a prompt cache, with nested ones flattened."""
    for layer in cache:
        if isinstance(layer, CacheList):
            yield from leaves(layer.caches)
        else:
            yield layer


def _flat(layers: Sequence[Any]) -> Iterator[Any]:
    for kind, detail in layers:
        if kind is CacheList:
            yield from _flat(detail)
        else:
            yield kind, detail


def has_kv(layer: Any) -> bool:
    """Whether a layer has KV of all tokens and can be trimmed to any of them; otherwise it needs checkpoints.

    Compares the exact class, since a subclass may behave differently.
    """
    return type(layer) in _KV_LAYERS


def _describe(layer: Any) -> tuple[Any, Any]:
    if isinstance(layer, CacheList):
        return CacheList, tuple(_describe(part) for part in layer.caches)
    if type(layer) is QuantizedKVCache:
        return QuantizedKVCache, (layer.group_size, layer.bits)
    return type(layer), None


def _arrays(layer: Any) -> tuple[mx.array, ...]:
    if type(layer) is QuantizedKVCache:
        return (*layer.keys, *layer.values)
    return layer.keys, layer.values


def _with_kv(kind: Any, detail: Any, arrays: list[mx.array], tokens: int) -> Any:
    if kind is QuantizedKVCache:
        half = len(arrays) // 2
        layer = QuantizedKVCache(*detail)
        layer.keys, layer.values = tuple(arrays[:half]), tuple(arrays[half:])
    else:
        layer = kind()
        if kind is ConcatenateKVCache:
            arrays = [array[..., :tokens, :] for array in arrays]
        layer.keys, layer.values = arrays
    layer.offset = tokens
    return layer


def _copy_range(array: mx.array, start: int, stop: int) -> mx.array:
    """A copy of a range; a plain slice may be a view, which keeps its source alive."""
    return mx.take(array, mx.arange(start, stop), axis=-2)


def _copy(array: mx.array) -> mx.array:
    """A copy of an array, which may be a slice of a batch's."""
    return mx.take(array, mx.arange(array.shape[0]), axis=0) if array.ndim and array.size else array


def _concatenated(spans: list[mx.array], tokens: int) -> mx.array:
    """Spans concatenated, with room for more tokens."""
    length = sum(span.shape[-2] for span in spans)
    if length > tokens:
        spans = [*spans[:-1], spans[-1][..., : spans[-1].shape[-2] - (length - tokens), :]]
    last = spans[-1]
    room = -tokens % _STEP
    empty = mx.zeros((*last.shape[:-2], room, last.shape[-1]), last.dtype)
    return mx.concatenate([*spans, empty], axis=-2)
