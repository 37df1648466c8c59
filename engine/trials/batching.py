"""Trial of batching: does another slot in a batch change a model's results?

Some of mlx-lm's models treat the padding of a batch as tokens, or raise in every batch; their slots must be
decoded alone. A difference alone proves nothing: one slot and several run different kernels, which round
differently. So the same tokens are also computed in one call instead of one by one, and the change by another
slot must be several times the change by that.
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

_SHORT, _LONG = 17, 40  # tokens of the two slots; the padding is no multiple of a block
_STEPS = 5  # in one batch
_AFTERWARDS = 3  # alone, after leaving the batch
_TIMES = 4.0  # a change of so many times the rounding is not rounding
_LEAST_VOCABULARY = 64  # that of a model of letters
_LEAST = 2e-3  # of the logits' standard deviation; smaller changes have no effect
_MOST_REACH = 8192
_TOP = re.compile(r"(?:index|block|sparse|candidate)\w*top_?k|top_?k\w*block")
_BLOCK = re.compile(r"(?:^|index|sparse|candidate)_?block_size")

Logits = list[mx.array]
"""The logits of one slot after each token from its prompt's last one on, of shape (vocabulary,)."""


def batch_fault(model: Any, new_cache: Callable[[], list[Any]], most: int | None = None) -> str:
    """Why slots of this model must be decoded alone, as the end of a sentence; empty if they need not be.

    `most`: the learned positions of the model, if limited. Runs two short prefills and some forty steps. Used
    on the model's thread.
    """
    reach = _reach(model)
    longest = _LONG if most is None else min(_LONG, most - reach - _STEPS - _AFTERWARDS - 1)
    if longest < _STEPS or not mergeable(new_cache()):
        return ""  # too small to measure, or alone in any case
    slots = [_prefilled(model, new_cache(), length, reach) for length in (longest * _SHORT // _LONG, longest)]
    alone = [_stepped(model, [slot])[0] for slot in slots]
    at_once = [_at_once(model, slot) for slot in slots]
    try:
        together = _stepped(model, slots)
    except Exception as error:  # mlx and the models raise any type
        return f"since it fails on several ({first_line(error)})"
    rounding = max(max(_apart(*pair)) for pair in zip(at_once, alone, strict=True))
    spread = statistics.median(_number(mx.std(logits)) for one in alone for logits in one)
    changed = max(_change(*pair) for pair in zip(together, alone, strict=True))
    if not math.isfinite(rounding + spread) or changed <= max(_TIMES * rounding, _LEAST * spread):
        return ""
    return f"since others beside them change them (by {changed / spread:.2g} of the logits' spread)"


def _change(together: Logits, alone: Logits) -> float:
    """The change by another slot; the median ignores single steps where a router decides closely."""
    apart = _apart(together, alone)
    return max(statistics.median(apart[1 : _STEPS + 1]), statistics.median(apart[_STEPS + 1 :]))


def _apart(first: Logits, second: Logits) -> list[float]:
    return [_number(mx.abs(one - other).max()) for one, other in zip(first, second, strict=True)]


def _number(array: mx.array) -> float:
    value = array.item()
    assert isinstance(value, float)
    return value


def _prefilled(model: Any, cache: list[Any], length: int, reach: int) -> list[Any]:
    """A cache of `length` tokens, and `reach` more of random KV, which needs no prefill."""
    model(mx.array([[_prompt_token(number) for number in range(length)]]), cache=cache)
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
    """The logits of slots that are decoded in one batch, and then leave it one by one."""
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
    """A slot with predetermined tokens that records its logits."""

    def note(tokens: mx.array, logits: mx.array) -> mx.array:
        notes.append(logits[0].astype(mx.float32))
        return logits

    return Slot([0], lambda logprobs: mx.array([_token(len(notes))]), [note])


def _prompt_token(number: int) -> int:
    return (3 + 5 * number) % _LEAST_VOCABULARY


def _token(number: int) -> int:
    """The token that is fed at a step; any vocabulary has it."""
    return 3 + 7 * number


def _reach(model: Any) -> int:
    """The number of tokens from which attention is sparse; 0 if it never is."""
    found = 0
    for _, module in model.named_modules():
        numbers = {name: value for name, value in vars(module).items() if type(value) is int and value > 0}
        top = max((value for name, value in numbers.items() if _TOP.search(name)), default=0)
        block = max((value for name, value in numbers.items() if _BLOCK.search(name)), default=1)
        found = max(found, top * block)
    return min(found, _MOST_REACH)
