"""Does a neighbour in a batch change what a model computes? Found out by trying, when it loads.

Some of mlx-lm's models take the padding of a batch for tokens, or raise in every batch; their rows have to be
decoded alone. That two results differ tells nothing: one row and several run other kernels, which round
differently. So the same tokens are also computed in one call in place of one by one, and what a neighbour
changes has to be several times what that changes.
"""

from __future__ import annotations

import copy
import math
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import CacheList, KVCache

from engine.model_files.errors import first_line
from engine.prefix_cache.layers import cache_arrays
from engine.scheduling.batch import DecodeBatch, Slot, mergeable

_SHORT, _LONG = 17, 40  # tokens of the two rows; the short one is padded, by no multiple of a block
_STEPS = 5  # that they go together
_AFTERWARDS = 3  # that each goes on its own when it has left
_TIMES = 4.0  # so many times what rounding changes is more than rounding
_LEAST = 2e-3  # of the logits' spread; what changes less than that changes nothing that anyone could see
_MOST_REACH = 8192
_TOP = re.compile(r"(?:index|block|sparse|candidate)\w*top_?k|top_?k\w*block")
_BLOCK = re.compile(r"(?:^|index|sparse|candidate)_?block_size")

Logits = list[mx.array]
"""Of one row: those behind each of its tokens from the last one of its prompt on, of shape (vocabulary,)."""


def batch_fault(model: Any, new_cache: Callable[[], list[Any]], most: int | None = None) -> str:
    """Why rows of this model have to be decoded alone, as the end of a sentence; empty where they need not.

    `most` is the number of positions that it has learned, if there is one. It costs two short prefills and
    some forty steps. Used on the model's thread.
    """
    reach = _reach(model)
    longest = _LONG if most is None else min(_LONG, most - reach - _STEPS - _AFTERWARDS - 1)
    if longest < _STEPS or not mergeable(new_cache()):
        return ""  # too small to find out, or alone in any case
    slots = [_prefilled(model, new_cache(), length, reach) for length in (longest * _SHORT // _LONG, longest)]
    alone = [_stepped(model, [slot])[0] for slot in slots]
    at_once = [_at_once(model, slot) for slot in slots]
    try:
        together = _stepped(model, slots)
    except Exception as error:  # mlx and the models raise what they like
        return f"since it fails on several ({first_line(error)})"
    rounding = max(max(_apart(*pair)) for pair in zip(at_once, alone, strict=True))
    spread = statistics.median(_number(mx.std(logits)) for one in alone for logits in one)
    changed = max(_change(*pair) for pair in zip(together, alone, strict=True))
    if not math.isfinite(rounding + spread) or changed <= max(_TIMES * rounding, _LEAST * spread):
        return ""
    return f"since others beside them change them (by {changed / spread:.2g} of the logits' spread)"


def _change(together: Logits, alone: Logits) -> float:
    """What a neighbour changes; one step that differs is a router's close decision, most that do are not."""
    apart = _apart(together, alone)
    return max(statistics.median(apart[1 : _STEPS + 1]), statistics.median(apart[_STEPS + 1 :]))


def _apart(first: Logits, second: Logits) -> list[float]:
    return [_number(mx.abs(one - other).max()) for one, other in zip(first, second, strict=True)]


def _number(array: mx.array) -> float:
    value = array.item()
    assert isinstance(value, float)
    return value


def _prefilled(model: Any, cache: list[Any], length: int, reach: int) -> list[Any]:
    """A cache of `length` tokens; with a reach, so many more of random numbers, which cost no prefill."""
    model(mx.array([[3 + 5 * number for number in range(length)]]), cache=cache)
    mx.eval(cache_arrays(cache))
    if reach:
        for number, layer in enumerate(_plain(cache)):
            layer.keys, layer.values = (
                _longer(array[..., : layer.offset, :], reach, 2 * number + half)
                for half, array in enumerate((layer.keys, layer.values))
            )
            layer.offset += reach
    mx.eval(cache_arrays(cache))
    return cache


def _longer(kv: mx.array, more: int, seed: int) -> mx.array:
    drawn = mx.random.normal((*kv.shape[:-2], more, kv.shape[-1]), key=mx.random.key(seed))
    spread = mx.sqrt(mx.mean(mx.square(kv.astype(mx.float32)))) if kv.size else 1.0
    return mx.concatenate([kv, (drawn * spread).astype(kv.dtype)], axis=-2)


def _plain(cache: Sequence[Any]) -> Iterator[KVCache]:
    for layer in cache:
        if isinstance(layer, CacheList):
            yield from _plain(layer.caches)
        elif type(layer) is KVCache:
            yield layer


def _stepped(model: Any, caches: Sequence[list[Any]]) -> list[Logits]:
    """The logits of rows that go through the model together, a token of each at a time, and then leave."""
    batch = DecodeBatch(model)
    seen: list[Logits] = [[] for _ in caches]
    slots = [_recording_slot(notes) for notes in seen]
    for slot, cache in zip(slots, caches, strict=True):
        batch.join(slot, copy.deepcopy(cache), _token(0))
    for _ in range(_STEPS):
        batch.step()
    for slot, notes in zip(slots, seen, strict=True):
        left = batch.leave(slot)
        for number in range(_STEPS + 1, _STEPS + _AFTERWARDS + 1):
            notes.append(model(mx.array([[_token(number)]]), cache=left)[0, -1].astype(mx.float32))
        mx.eval(notes)
    return seen


def _at_once(model: Any, cache: list[Any]) -> Logits:
    tokens = mx.array([[_token(number) for number in range(_STEPS + _AFTERWARDS + 1)]])
    logits = model(tokens, cache=copy.deepcopy(cache))[0].astype(mx.float32)
    mx.eval(logits)
    return list(logits)


def _recording_slot(notes: Logits) -> Slot:
    """A row whose tokens are given, and which notes the logits that others would be drawn from."""

    def note(tokens: mx.array, logits: mx.array) -> mx.array:
        notes.append(logits[0].astype(mx.float32))
        return logits

    return Slot([0], lambda logprobs: mx.array([_token(len(notes))]), [note])


def _token(number: int) -> int:
    """Tokens that any vocabulary has; for a prompt those behind, for what follows those in front."""
    return 3 + 7 * number


def _reach(model: Any) -> int:
    """The tokens from which on attention looks at a part of them only, 0 where it always looks at all."""
    found = 0
    for _, module in model.named_modules():
        numbers = {name: value for name, value in vars(module).items() if type(value) is int and value > 0}
        top = max((value for name, value in numbers.items() if _TOP.search(name)), default=0)
        block = max((value for name, value in numbers.items() if _BLOCK.search(name)), default=1)
        found = max(found, top * block)
    return min(found, _MOST_REACH)
