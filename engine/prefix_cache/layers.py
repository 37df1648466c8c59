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

Rows = list[tuple[mx.array, ...]]
"""For each layer with rows its arrays, all with the tokens on the second axis from the end."""

States = list[Any]
"""The layers without rows, as mlx-lm's cache objects."""

_WITH_ROWS = (KVCache, QuantizedKVCache, ConcatenateKVCache)
_STEP = 256  # mlx-lm's caches grow by so many rows; a restored one has room for the next tokens


@dataclass(frozen=True, slots=True)
class Layout:
    """How the layers of a model's caches are built: classes, nesting and what they were made with."""

    layers: tuple[Any, ...]
    has_states: bool


def layout_of(cache: Sequence[Any]) -> Layout:
    """The layout of a prompt cache."""
    described = tuple(_describe(layer) for layer in cache)
    return Layout(described, any(not has_rows(layer) for layer in leaves(cache)))


def dtypes_of(cache: Sequence[Any]) -> list[str]:
    """The number types of a prompt cache's rows."""
    return [str(array.dtype) for layer in leaves(cache) if has_rows(layer) for array in _arrays(layer)]


def rows_between(cache: Sequence[Any], start: int, stop: int) -> Rows:
    """The rows of tokens `start` to `stop`, as arrays of their own, not yet evaluated."""
    return [
        tuple(_own(array, start, stop) for array in _arrays(layer))
        for layer in leaves(cache)
        if has_rows(layer)
    ]


def split_rows(rows: Rows, at: int) -> tuple[Rows, Rows]:
    """Two spans in place of one: the first `at` tokens and the others."""
    length = rows[0][0].shape[-2] if rows else at
    return cut_rows(rows, 0, at), cut_rows(rows, at, length)


def cut_rows(rows: Rows, start: int, stop: int) -> Rows:
    """Part of a span, as arrays of their own, not yet evaluated."""
    return [tuple(_own(array, start, stop) for array in layer) for layer in rows]


def has_states(layers: Sequence[Any]) -> bool:
    """Whether a layout's layers hold any without rows."""
    return any(kind not in _WITH_ROWS for kind, _ in _flat(layers))


def states_of(cache: Sequence[Any]) -> States:
    """The layers without rows, copied; arrays are shared until one side writes to them."""
    copies = [copy.deepcopy(layer) for layer in leaves(cache) if not has_rows(layer)]
    for layer in copies:
        layer.state = tree_map(lambda leaf: _apart(leaf) if isinstance(leaf, mx.array) else leaf, layer.state)
    return copies


def assemble(cache_layout: Layout, spans: Sequence[Rows], tokens: int, states: States) -> list[Any]:
    """A prompt cache of `tokens` tokens, made of spans in order (the last may be longer) and states."""
    parts = iter(range(sum(1 for layer in _flat(cache_layout.layers) if layer[0] in _WITH_ROWS)))
    held = iter(copy.deepcopy(states))

    def build(described: Any) -> Any:
        kind, detail = described
        if kind is CacheList:
            return CacheList(*[build(layer) for layer in detail])
        if kind not in _WITH_ROWS:
            return next(held)
        number = next(parts)
        joined = [_joined([span[number][n] for span in spans], tokens) for n in range(len(spans[0][number]))]
        return _with_rows(kind, detail, joined, tokens)

    return [build(layer) for layer in cache_layout.layers]


def nbytes_of(rows: Rows, states: States) -> int:
    """Bytes of spans and states."""
    return sum(array.nbytes for array in arrays_of(rows, states))


def arrays_of(rows: Rows, states: States) -> list[mx.array]:
    """The arrays of spans and states, each a buffer of its own."""
    leaves = (leaf for layer in states for _, leaf in tree_flatten(layer.state))
    return [
        *(array for layer in rows for array in layer),
        *(leaf for leaf in leaves if isinstance(leaf, mx.array)),
    ]


def computed(cache: Sequence[Any]) -> list[Any]:
    """What a prompt cache holds, for `mx.eval`: its states, or the arrays of a class that tells none."""
    return [layer.state if hasattr(layer, "state") else list(vars(layer).values()) for layer in cache]


def evaluate(rows: Rows, states: States) -> None:
    """Compute what is to be kept, so that it holds on to nothing that it was cut from.

    Waits until the device has: a fault of it, also in what these were computed from, is raised here.
    """
    mx.eval(rows, [layer.state for layer in states])
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


def has_rows(layer: Any) -> bool:
    """Whether a layer keeps rows for all tokens and can be trimmed to any of them; else it has a state.

    Told by the very class: what a subclass does differently is not known.
    """
    return type(layer) in _WITH_ROWS


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


def _with_rows(kind: Any, detail: Any, arrays: list[mx.array], tokens: int) -> Any:
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
