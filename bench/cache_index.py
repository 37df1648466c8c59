"""The overhead of a long conversation apart from its arithmetic: cache lookup, index memory, tokenization.

The index is measured with random KV of a small model's shape: the values do not matter. Each figure is
compared with a cost that cannot be avoided (copying the KV), or with what mlx-lm does instead.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.claude_request import prose
from bench.figure import Figure, Peer
from engine.prefix_cache.interface import TokenArray

LOOKUP_MS, INDEX_MB, TOKENS_MS = 5.0, 1.0, 10.0
_STORED, _TOKENIZED, _QUICK_STORED = 100_000, 94_000, 5_000
_TURN = 1000  # tokens between two checkpoints
_LEFT_AT = 5  # a diverging prompt shares a fifth of the stored tokens
_LAYERS, _ROW = 2, (1, 64)  # layers; heads and numbers of a token


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """All in this process: nothing multiplies matrices."""
    stored, runs = (_QUICK_STORED, 3) if quick else (_STORED, 30)
    tokens = _random_tokens(stored, seed=1)
    return [
        *_lookups(tokens, runs),
        _index_memory(tokens),
        _tokenizing(folder, runs, quick=quick),
    ]


def _lookups(tokens: TokenArray, runs: int) -> list[Figure]:
    import mlx.core as mx

    cache = _filled_cache(tokens)
    longer = np.concatenate([tokens, _random_tokens(50, seed=2)])
    shared = len(tokens) // _LEFT_AT
    leaving = np.concatenate([tokens[:shared], _random_tokens(len(tokens) - shared, seed=3)])
    found: dict[str, list[float]] = {"goes on": [], "leaves it": []}
    copied: list[float] = []
    for _ in range(runs):
        match, took = _timed(lambda: cache.lookup(longer))
        assert match.cache is not None
        assert match.restored == len(tokens)
        found["goes on"].append(took)
        kv = [layer.state for layer in match.cache]
        copied.append(_timed(lambda kv=kv: mx.eval(kv))[1])  # type: ignore[misc]
        match, took = _timed(lambda: cache.lookup(leaving))
        assert match.restored == shared
        found["leaves it"].append(took)
    theirs = _library_lookup(tokens, leaving, shared)
    return [
        _figure(
            f"lookup that goes on behind {len(tokens):,} tokens", found["goes on"], "copying the rows", copied
        ),
        _figure(
            f"lookup that leaves it after {shared:,}", found["leaves it"], "mlx_lm's LRUPromptCache", theirs
        ),
    ]


def _figure(metric: str, ours: list[float], peer: str, theirs: list[float]) -> Figure:
    return Figure(
        bench="cache_index",
        metric=metric,
        unit="ms",
        value=median(ours),
        peer=Peer(peer, median(theirs)),
        ratio=median(ours) / median(theirs),
        target=LOOKUP_MS,
        runs=len(ours),
    )


def _library_lookup(tokens: TokenArray, leaving: TokenArray, shared: int) -> list[float]:
    """Measured once, since it takes seconds."""
    from mlx_lm.models.cache import LRUPromptCache

    cache = LRUPromptCache()
    cache.insert_cache("model", tokens.tolist(), _layers(len(tokens)))
    prompt = leaving.tolist()
    (_, rest), took = _timed(lambda: cache.fetch_nearest_cache("model", prompt))
    assert len(rest) == len(prompt) - shared
    return [took]


def _index_memory(tokens: TokenArray) -> Figure:
    from mlx_lm.models.cache import PromptTrie

    plain, scale = tokens.tolist(), 100_000 / len(tokens) / 1e6
    layers = _layers(len(tokens))

    def in_trie() -> Any:
        trie = PromptTrie()
        trie.add("model", plain, None)
        return trie

    ours = scale * _python_bytes(lambda: _filled_cache(tokens, layers))
    theirs = scale * _python_bytes(in_trie)
    return Figure(
        bench="cache_index",
        metric="index of 100,000 tokens",
        unit="MB",
        value=ours,
        peer=Peer("mlx_lm's PromptTrie", theirs),
        ratio=ours / theirs,
        target=INDEX_MB,
        runs=1,
    )


def _python_bytes(make: Callable[[], Any]) -> int:
    """The bytes of Python and numpy memory that the result of a function takes; KV is in mlx's memory."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        made = make()
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
        del made
    finally:
        tracemalloc.stop()
    return held


def _tokenizing(folder: Path, runs: int, *, quick: bool) -> Figure:
    """One new message behind a long prompt whose text is already rendered."""
    from bench.random_model import bench_shape, build_random_model
    from engine.models.loading import load_model
    from engine.prompts.rendering import PromptRenderer

    wanted = _QUICK_STORED if quick else _TOKENIZED
    model = build_random_model(folder / "model", "qwen3", bench_shape(quick), eos_every=None)
    loaded = load_model(model, lambda *_: None)
    renderer = PromptRenderer(loaded.tokenizer)
    messages = [{"role": "system", "content": prose(40_000, seed=0)}]
    while len(renderer.encode(renderer.text(messages)[0])) < wanted:
        number = len(messages)
        said = {"role": "assistant" if number % 2 == 0 else "user", "content": prose(4_000, seed=number)}
        messages.append(said)
    ours, theirs, length = [], [], 0
    for number in range(runs):
        new = {"role": "user", "content": prose(600, seed=1000 + number)}
        text = renderer.text([*messages, new])[0]
        tokens, took = _timed(lambda text=text: renderer.encode(text))  # type: ignore[misc]
        whole, whole_took = _timed(lambda text=text: loaded.tokenizer.encode(text, add_special_tokens=False))  # type: ignore[misc]
        assert tokens == whole
        ours.append(took)
        theirs.append(whole_took)
        length = len(tokens)
    return Figure(
        bench="cache_index",
        metric=f"tokenizing {length:,} tokens, one message new",
        unit="ms",
        value=median(ours),
        peer=Peer("tokenizing all of it", median(theirs)),
        ratio=median(own / whole for own, whole in zip(ours, theirs, strict=True)),
        target=TOKENS_MS,
        runs=runs,
    )


def _filled_cache(tokens: TokenArray, layers: list[Any] | None = None) -> Any:
    """A prefix cache into which a conversation was inserted turn by turn."""
    from engine.prefix_cache.cache import RadixPrefixCache

    cache = RadixPrefixCache(max_bytes=8 << 30)
    layers = layers or _layers(len(tokens))
    for end in range(_TURN, len(tokens) + 1, _TURN):
        cache.insert(tokens[:end].tolist(), layers, "main")
    return cache


def _layers(tokens: int) -> list[Any]:
    """The cache of a small model with this number of tokens, of any content."""
    import mlx.core as mx
    from mlx_lm.models.cache import KVCache

    heads, width = _ROW
    layers = [KVCache() for _ in range(_LAYERS)]
    for layer in layers:
        layer.keys, layer.values = mx.random.normal((2, 1, heads, tokens, width))
        layer.offset = tokens
        mx.eval(layer.keys, layer.values)
    return layers


def _random_tokens(count: int, *, seed: int) -> TokenArray:
    return np.random.default_rng(seed).integers(0, 16_000, count, np.int32)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result of a function, and its time in milliseconds."""
    began = time.perf_counter()
    result = work()
    return result, 1e3 * (time.perf_counter() - began)
