"""A short request next to a long conversation: what it adds to memory and step time of decoding.

    python -m bench.side_by_side     settings on stdin: {"model": FOLDER, "tokens": N, "steps": N, ...}

Measured in its own process, with the engine's BLAS: the engine's loop, and mlx-lm's `BatchGenerator`, which
`mlx_lm.server` decodes with. The conversation's KV is random, which takes the same time as computed KV. The
model is small and its conversation large, so that a step is mostly attention, as it is if a conversation's KV
is larger than the weights that a token reads.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench.child import clean_environment, python
from bench.figure import Figure, Peer
from engine.process.blas import engine_environment

STEP, MEMORY = 1.15, 1.05
SHORT = 100  # tokens of the joining request
_WARM = 3  # steps before the measurement


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Two figures; the value is a multiple of what the conversation takes alone."""
    from bench.random_model import RandomShape, build_random_model

    shape = RandomShape(heads=4, kv_heads=4, corpus_bytes=300_000)  # of its tokenizer nothing is measured
    model = build_random_model(folder / "model", "qwen3", shape, eos_every=None)
    tokens, steps, rounds = (4_000, 4, 2) if quick else (40_000, 16, 7)
    settings = {"model": str(model), "tokens": tokens, "steps": steps, "rounds": rounds}
    environment, _ = engine_environment(clean_environment(HOME=str(folder)))
    ended = subprocess.run(
        python("-m", "bench.side_by_side"),
        input=json.dumps(settings) + "\n",
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    measured = json.loads(ended.stdout)
    return [
        _figure("step", measured, tokens, STEP, rounds),
        _figure("memory", measured, tokens, MEMORY, rounds),
    ]


def _figure(what: str, measured: dict[str, Any], tokens: int, target: float, rounds: int) -> Figure:
    ours, theirs = (median(measured[way][what]) for way in ("engine", "library"))
    return Figure(
        bench="side_by_side",
        metric=f"decode {what}, {SHORT} tokens beside {tokens:,}",
        unit="times that alone",
        value=ours,
        peer=Peer("mlx_lm's BatchGenerator", theirs),
        ratio=ours / theirs,
        target=target,
        runs=rounds,
    )


def main() -> None:
    """Measure both ways and print {"engine": {"step": [...], "memory": [...]}, "library": {...}}."""
    from engine.models.loading import load_model
    from engine.process.parent_watch import announce, read_settings

    settings = read_settings()
    loaded = load_model(settings["model"], lambda *_: None)
    tokens, steps, rounds = settings["tokens"], settings["steps"], settings["rounds"]
    announce(
        engine=_engine_way(loaded, tokens, steps, rounds), library=_library_way(loaded, tokens, steps, rounds)
    )


def _engine_way(loaded: Any, tokens: int, steps: int, rounds: int) -> dict[str, list[float]]:
    import mlx.core as mx

    from engine.prefix_cache.cache import RadixPrefixCache
    from engine.scheduling.loop import DecodeLoop
    from engine.scheduling.requests.request import RequestState, ScheduledRequest
    from engine.scheduling.requests.steps import GenerationRequest, Sampling
    from engine.scheduling.requests.stream import StepStream

    cache = RadixPrefixCache(max_bytes=8 << 30)
    long = _random_tokens(tokens)
    cache.insert(long[:-1], _random_cache(loaded.model, tokens - 1), "main")
    loop = DecodeLoop(loaded, cache, prefill_chunk=512)
    events = asyncio.new_event_loop()

    def arrive(name: str, prompt: list[int], answer: int) -> ScheduledRequest:
        request = GenerationRequest(name, prompt, answer, Sampling(temperature=0.0))
        live = ScheduledRequest(request, StepStream(events, lambda: None), time.monotonic())
        loop.arrive(live)
        return live

    base = mx.get_active_memory()
    conversation = arrive("long", long, 100_000)
    while conversation.state is not RequestState.DECODE:
        loop.turn()
    times: dict[str, list[float]] = {"step": [], "memory": []}
    for _ in range(rounds):
        alone = _measured(loop.turn, steps, base)
        beside = arrive("short", _random_tokens(SHORT), steps + _WARM + 2)
        while beside.state is not RequestState.DECODE:
            loop.turn()
        both = _measured(loop.turn, steps, base)
        if beside.state is not RequestState.DECODE:
            raise RuntimeError("the short request ended before its steps were measured")
        while beside.state is RequestState.DECODE:
            loop.turn()
        _compare(times, alone, both)
    return times


def _library_way(loaded: Any, tokens: int, steps: int, rounds: int) -> dict[str, list[float]]:
    import mlx.core as mx
    from mlx_lm.generate import BatchGenerator

    base = mx.get_active_memory()
    generator = BatchGenerator(loaded.model, max_tokens=100_000)
    cache = _random_cache(loaded.model, tokens - 1)
    generator.insert([[1]], caches=[cache])
    del cache
    times: dict[str, list[float]] = {"step": [], "memory": []}
    for _ in range(rounds):
        alone = _measured(generator.next, steps, base)
        (beside,) = generator.insert([_random_tokens(SHORT)], max_tokens=[steps + 20 * _WARM])
        while beside not in {answer.uid for answer in generator.next()[1]}:
            pass
        both = _measured(generator.next, steps, base)
        generator.remove([beside])
        _compare(times, alone, both)
    generator.close()
    return times


def _measured(step: Callable[[], Any], steps: int, base: int) -> tuple[float, int]:
    """The median time of a step, and the bytes beyond `base` after the last."""
    import mlx.core as mx

    for _ in range(_WARM):
        step()
    times = []
    for _ in range(steps):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return median(times), mx.get_active_memory() - base


def _compare(times: dict[str, list[float]], alone: tuple[float, int], both: tuple[float, int]) -> None:
    times["step"].append(both[0] / alone[0])
    times["memory"].append(both[1] / alone[1])


def _random_tokens(count: int) -> list[int]:
    return [random.randrange(16_000) for _ in range(count)]


def _random_cache(model: Any, tokens: int) -> list[Any]:
    """A cache of this model's layers with this number of tokens, of any content."""
    import mlx.core as mx
    from mlx_lm.models.cache import make_prompt_cache

    cache: list[Any] = make_prompt_cache(model)
    model(mx.array([[1]]), cache=cache)  # sets the shapes
    for layer in cache:
        _, heads, _, width = layer.keys.shape
        layer.keys, layer.values = mx.random.normal((2, 1, heads, tokens, width), layer.keys.dtype)
        layer.offset = tokens
        mx.eval(layer.keys, layer.values)
    return cache


if __name__ == "__main__":
    main()
