"""Decode speed through the engine, and through engine and proxy, compared with `mlx_lm.stream_generate`.

All three run the same model on the same BLAS, each in its own process, in alternation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench.child import Child, child, clean_environment, python, wait_ready
from bench.figure import Figure, Peer
from bench.raw_stream import RawStream, StreamTiming
from engine.process.blas import engine_environment

RATIO = 0.95
ATTEMPTS = 10  # to get an answer whose deltas arrive one by one
MESSAGES = [{"role": "user", "content": "Tell me something about the standard library."}]

# In each delta of the engine, but not in the chunk with the role, which is sent before prefill begins.
ENGINE_DELTA = b'"delta":{"content":'

Speed = Callable[[int], float]  # tokens to generate -> tokens per second after the first


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """A model that takes a few milliseconds a token, and a small one that shows any overhead."""
    models = ("small",) if quick else ("bench", "small")
    tokens, rounds = (96, 2) if quick else (256, 9)
    figures: list[Figure] = []
    for name in models:
        model = _model(folder, name, quick=quick)
        with _speeds(model, folder) as speeds:
            figures += _figures(name, _in_turns(speeds, tokens, rounds))
    return figures


def _model(folder: Path, name: str, *, quick: bool) -> Path:
    """A random model whose answers do not end by themselves."""
    from bench.random_model import bench_shape, build_random_model

    larger = {"hidden_size": 384, "layers": 6, "heads": 6, "kv_heads": 3, "feed_forward": 1024}
    shape = bench_shape(quick, **(larger if name == "bench" else {}))
    return build_random_model(folder / f"{name}-model", "qwen3", shape, eos_every=None)


def _in_turns(speeds: dict[str, Speed], tokens: int, rounds: int) -> dict[str, list[float]]:
    for speed in speeds.values():
        speed(tokens)  # warm-up: some code is compiled or mapped at first use
    measured: dict[str, list[float]] = {name: [] for name in speeds}
    order = list(speeds)
    for round_ in range(rounds):
        for name in order[round_ % len(order) :] + order[: round_ % len(order)]:
            measured[name].append(speeds[name](tokens))
    return measured


def _figures(model: str, measured: dict[str, list[float]]) -> list[Figure]:
    library = measured.pop("library")
    return [
        Figure(
            bench="decode",
            metric=f"{way}, {model} model",
            unit="tokens/s",
            value=median(speeds),
            peer=Peer("mlx_lm.stream_generate", median(library)),
            ratio=median(own / peer for own, peer in zip(speeds, library, strict=True)),
            target=RATIO if model == "bench" else None,
            bound="at least",
            on="ratio",
            runs=len(speeds),
        )
        for way, speeds in measured.items()
    ]


@contextmanager
def _speeds(model: Path, folder: Path) -> Iterator[dict[str, Speed]]:
    """Three ways to run the same model, each in its own process."""
    environment, _ = engine_environment(clean_environment(HOME=str(folder)))
    with ExitStack() as stack:

        def start(name: str, module: str, **settings: Any) -> Child:
            running = child(
                name,
                python("-m", module),
                settings=settings,
                log=folder / f"{name}.log",
                environment=environment,
            )
            return stack.enter_context(running)

        library = start("library", "bench.library_decode", model=str(model))
        engine = start("engine", "engine", model=str(model), host="127.0.0.1", port=0)
        wait_ready(engine, "/health")
        home = str(folder / "home")
        proxy = start(
            "proxy",
            "proxy",
            backend="mlx",
            model=str(model),
            manage_engine=False,
            engine_port=int(engine.url.rpartition(":")[2]),
            home=home,
            port=0,
        )
        wait_ready(proxy)
        yield {
            "library": lambda tokens: _library_speed(library, tokens),
            "engine": lambda tokens: _engine_speed(engine, tokens),
            "engine and proxy": lambda tokens: _proxy_speed(proxy, tokens),
        }


def _library_speed(library: Child, tokens: int) -> float:
    return float(library.ask({"messages": MESSAGES, "max_tokens": tokens})["tokens_per_s"])


def _engine_speed(engine: Child, tokens: int) -> float:
    body = {
        "model": "bench",
        "messages": MESSAGES,
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    timing = timed(engine.url, "/v1/chat/completions", body, delta=ENGINE_DELTA)
    return _speed(timing, tokens, rb'"completion_tokens":\s*(\d+)')


def _proxy_speed(proxy: Child, tokens: int) -> float:
    body = {
        "model": "bench",
        "messages": MESSAGES,
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
    }
    timing = timed(proxy.url, "/v1/messages", body, delta=b"text_delta")
    return _speed(timing, tokens, rb'"output_tokens":\s*(\d+)')


def timed(url: str, path: str, body: dict[str, Any], *, delta: bytes) -> StreamTiming:
    """Ask again if this process was not scheduled until the whole answer was in its socket.

    Then all deltas were read at once, so that they show nothing of the time between them.

    Raises:
        RuntimeError: this happened each time.
    """
    for _ in range(ATTEMPTS):
        with RawStream(url) as stream:
            timing = stream.post(path, json.dumps(body).encode(), delta=delta)
        if timing.last_s > timing.first_s:
            return timing
    raise RuntimeError(
        f"{ATTEMPTS} answers of {path} came in one read each: this machine is too busy to time a stream"
    )


def _speed(timing: StreamTiming, tokens: int, count: bytes) -> float:
    """The tokens after the first, divided by the time from the first delta to the last.

    Raises:
        RuntimeError: the answer does not have the requested length, so that it cannot be compared.
    """
    generated = [int(number) for number in re.findall(count, timing.body)]
    if not generated or generated[-1] != tokens:
        raise RuntimeError(f"{tokens} tokens were asked for; the answer tells of {generated[-1:]}")
    return (tokens - 1) / (timing.last_s - timing.first_s)
