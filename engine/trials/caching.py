"""Trial of caching: can a model's prompt cache be stored and restored?

mlx-lm's own cache classes can. A model may define another class, whose state may not be settable, or whose
copies may share arrays that one of them changes.
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
_LEAST_VOCABULARY = 64  # that of a model of letters
_LEAST = 1e-3  # of the logits' standard deviation; the same steps round alike


def restore_fault(runner: ModelRunner) -> str:
    """Why prompts of this model cannot be cached; empty if they can. On the model's thread."""
    unknown = sorted({type(layer).__name__ for layer in leaves(runner.new_cache()) if not _is_known(layer)})
    if not unknown:
        return ""
    try:
        same = _is_restored(runner)
    except Exception as error:  # an unknown class may raise anything
        return f"the state of {', '.join(unknown)} cannot be restored ({first_line(error)})"
    return "" if same else f"the state of {', '.join(unknown)} differs once it is restored"


def _is_restored(runner: ModelRunner) -> bool:
    """Whether a prompt continues from the prefix cache, twice, as from the original cache."""
    prompt = [(3 + 5 * number) % _LEAST_VOCABULARY for number in range(_TOKENS)]
    expected = _continued(runner, _prefilled(runner, prompt))
    store = RadixPrefixCache(max_bytes=1 << 50)
    store.insert(prompt, _prefilled(runner, prompt), "main")
    spread = float(mx.std(expected))
    for _ in range(2):
        match = store.lookup([*prompt, 3])
        if match.cache is None or match.restored != len(prompt):
            return False
        if not float(mx.abs(_continued(runner, match.cache) - expected).max()) <= _LEAST * spread:
            return False
    return True


def _prefilled(runner: ModelRunner, prompt: Sequence[int]) -> list[Any]:
    cache = runner.new_cache()
    runner(mx.array([prompt]), cache=cache)
    mx.eval(cache_arrays(cache))
    return cache


def _continued(runner: ModelRunner, cache: list[Any]) -> mx.array:
    """The logits of some further tokens, of shape (tokens, vocabulary)."""
    steps = [runner(mx.array([[3 + 7 * number]]), cache=cache)[0, -1] for number in range(_FURTHER)]
    logits = mx.stack(steps).astype(mx.float32)
    mx.eval(logits)
    return logits


def _is_known(layer: Any) -> bool:
    return getattr(cache_classes, type(layer).__name__, None) is type(layer)
