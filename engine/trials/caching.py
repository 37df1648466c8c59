"""Can what a model keeps of a prompt be stored and put back? Tried, when it loads, with unusual caches.

mlx-lm's own cache classes can. A model may bring a class of its own, of which nothing is known: its state may
not be settable, or copies may share what one of them goes on to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
from mlx_lm.models import cache as cache_classes

from engine.model_files.errors import first_line
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.layers import cache_arrays, leaves
from engine.scheduling.runner import ModelRunner

_TOKENS = 40
_FURTHER = 3
_LEAST = 1e-3  # of the logits' spread; the same tokens in the same steps round alike


def restore_fault(runner: ModelRunner) -> str:
    """Why prompts of this model cannot be kept, in words; empty where they can. On the model's thread."""
    unknown = sorted({type(layer).__name__ for layer in leaves(runner.new_cache()) if not _is_known(layer)})
    if not unknown:
        return ""
    try:
        same = _comes_back(runner)
    except Exception as error:  # a class that nobody knows may raise anything
        return f"what {', '.join(unknown)} holds cannot be put back ({first_line(error)})"
    return "" if same else f"what {', '.join(unknown)} holds is not the same when it is put back"


def _comes_back(runner: ModelRunner) -> bool:
    """Whether a prompt goes on from the prefix cache, twice, as it does from where it was computed."""
    prompt = [3 + 5 * number for number in range(_TOKENS)]
    expected = _gone_on(runner, _prefilled(runner, prompt))
    store = RadixPrefixCache(max_bytes=1 << 50)
    store.insert(prompt, _prefilled(runner, prompt), "main")
    spread = float(mx.std(expected))
    for _ in range(2):
        match = store.lookup([*prompt, 3])
        if match.cache is None or match.restored != len(prompt):
            return False
        if not float(mx.abs(_gone_on(runner, match.cache) - expected).max()) <= _LEAST * spread:
            return False
    return True


def _prefilled(runner: ModelRunner, prompt: Sequence[int]) -> list[Any]:
    cache = runner.new_cache()
    runner(mx.array([prompt]), cache=cache)
    mx.eval(cache_arrays(cache))
    return cache


def _gone_on(runner: ModelRunner, cache: list[Any]) -> mx.array:
    """The logits of some more tokens, of shape (tokens, vocabulary)."""
    steps = [runner(mx.array([[3 + 7 * number]]), cache=cache)[0, -1] for number in range(_FURTHER)]
    logits = mx.stack(steps).astype(mx.float32)
    mx.eval(logits)
    return logits


def _is_known(layer: Any) -> bool:
    return getattr(cache_classes, type(layer).__name__, None) is type(layer)
