"""A prompt cache taken apart: rows, one for each token, and states, which are whole or nothing.

A layer of plain attention keeps a row of keys and values for each token, and any span of rows can be stored
and put behind another. A sliding window or a recurrent layer keeps one state, which stands for all tokens up
to an exact position. mlx-lm's `CacheList` holds several layers of either sort.
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
"""For each layer with rows its arrays, all with the tokens on the second axis from the end."""

Checkpoint = list[Any]
"""The layers without rows, as mlx-lm's cache objects."""

_KV_LAYERS = (KVCache, QuantizedKVCache, ConcatenateKVCache)
_STEP = 256  # mlx-lm's caches grow by so many rows; a restored one has room for the next tokens


@dataclass(frozen=True, slots=True)
class Layout:
    """How the layers of a model's caches are built: classes, nesting and what they were made with."""

    layers: tuple[Any, ...]
    has_checkpoint: bool


def layout_of(cache: Sequence[Any]) -> Layout:
    """The layout of a prompt cache."""
    described = tuple(_describe(layer) for layer in cache)
    return Layout(described, any(not has_kv(layer) for layer in leaves(cache)))


def dtypes_of(cache: Sequence[Any]) -> list[str]:
    """The number types of a prompt cache's rows."""
    return [str(array.dtype) for layer in leaves(cache) if has_kv(layer) for array in _arrays(layer)]


def kv_between(cache: Sequence[Any], start: int, stop: int) -> KV:
    """The rows of tokens `start` to `stop`, as arrays of their own, not yet evaluated."""
    return [
        tuple(_own(array, start, stop) for array in _arrays(layer))
        for layer in leaves(cache)
        if has_kv(layer)
    ]


def split_kv(kv: KV, at: int) -> tuple[KV, KV]:
    """Two spans in place of one: the first `at` tokens and the others."""
    length = kv[0][0].shape[-2] if kv else at
    return slice_kv(kv, 0, at), slice_kv(kv, at, length)


def slice_kv(kv: KV, start: int, stop: int) -> KV:
    """Part of a span, as arrays of their own, not yet evaluated."""
    return [tuple(_own(array, start, stop) for array in layer) for layer in kv]


def has_checkpoint(layers: Sequence[Any]) -> bool:
    """Whether a layout's layers hold any without rows."""
    return any(kind not in _KV_LAYERS for kind, _ in _flat(layers))


def checkpoint_of(cache: Sequence[Any]) -> Checkpoint:
    """The layers without rows, copied; arrays are shared until one side writes to them."""
    copies = [copy.deepcopy(layer) for layer in leaves(cache) if not has_kv(layer)]
    for layer in copies:
        layer.state = tree_map(lambda leaf: _apart(leaf) if isinstance(leaf, mx.array) else leaf, layer.state)
    return copies


def assemble(cache_layout: Layout, spans: Sequence[KV], tokens: int, checkpoint: Checkpoint) -> list[Any]:
    """A prompt cache of `tokens` tokens, made of spans in order (the last may be longer) and states."""
    parts = iter(range(sum(1 for layer in _flat(cache_layout.layers) if layer[0] in _KV_LAYERS)))
    held = iter(copy.deepcopy(checkpoint))

    def build(described: Any) -> Any:
        kind, detail = described
        if kind is CacheList:
            return CacheList(*[build(layer) for layer in detail])
        if kind not in _KV_LAYERS:
            return next(held)
        number = next(parts)
        joined = [_joined([span[number][n] for span in spans], tokens) for n in range(len(spans[0][number]))]
        return _with_kv(kind, detail, joined, tokens)

    return [build(layer) for layer in cache_layout.layers]


def nbytes_of(kv: KV, checkpoint: Checkpoint) -> int:
    """Bytes of spans and states."""
    return sum(array.nbytes for array in arrays_of(kv, checkpoint))


def arrays_of(kv: KV, checkpoint: Checkpoint) -> list[mx.array]:
    """The arrays of spans and states, each a buffer of its own."""
    leaves = (leaf for layer in checkpoint for _, leaf in tree_flatten(layer.state))
    return [
        *(array for layer in kv for array in layer),
        *(leaf for leaf in leaves if isinstance(leaf, mx.array)),
    ]


def cache_arrays(cache: Sequence[Any]) -> list[Any]:
    """What a prompt cache holds, for `mx.eval`: its states, or the arrays of a class that tells none."""
    return [layer.state if hasattr(layer, "state") else list(vars(layer).values()) for layer in cache]


def evaluate(kv: KV, checkpoint: Checkpoint) -> None:
    """Compute what is to be kept, so that it holds on to nothing that it was cut from.

    Waits until the device has: a fault of it, also in what these were computed from, is raised here.
    """
    mx.eval(kv, [layer.state for layer in checkpoint])
    mx.synchronize()


def leaves(cache: Sequence[Any]) -> Iterator[Any]:
    """The layers of a prompt cache, those within lists of caches one by one."""
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
    """Whether a layer keeps rows for all tokens and can be trimmed to any of them; else it has a state.

    Told by the very class: what a subclass does differently is not known.
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


def _own(array: mx.array, start: int, stop: int) -> mx.array:
    """Rows in memory of their own; a plain slice may be a view, which keeps all of its source alive."""
    return mx.take(array, mx.arange(start, stop), axis=-2)


def _apart(array: mx.array) -> mx.array:
    """An array in memory of its own, for states that were cut out of a batch's."""
    return mx.take(array, mx.arange(array.shape[0]), axis=0) if array.ndim and array.size else array


def _joined(spans: list[mx.array], tokens: int) -> mx.array:
    """Spans one behind the other, with room for more."""
    held = sum(span.shape[-2] for span in spans)
    if held > tokens:
        spans = [*spans[:-1], spans[-1][..., : spans[-1].shape[-2] - (held - tokens), :]]
    last = spans[-1]
    room = -tokens % _STEP
    empty = mx.zeros((*last.shape[:-2], room, last.shape[-1]), last.dtype)
    return mx.concatenate([*spans, empty], axis=-2)
