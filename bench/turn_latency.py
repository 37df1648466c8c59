"""Time to the first token of a turn, cached and uncached, and the speed behind a long prompt.

The engine is used over its own API. A cached turn adds about 150 tokens to a conversation of 15,000. The same
bodies go to `mlx_lm.server`, and the model alone computes the same tokens behind the same prefix in its own
process. An uncached prompt is new from its first word; its peer is `mlx_lm.stream_generate`, without a
server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.chat_stream import chat_body, stream_chat
from bench.child import Child, child, clean_environment, python, wait_ready
from bench.claude_request import prose
from bench.figure import Figure, Peer
from bench.library_server import library_server
from engine.process.blas import engine_environment

LIBRARY_SHARE = 0.97
LONG, NEW = 15_000, 150  # tokens
_ANSWER, _COLD_ANSWER = 4, 64
_SAMPLE = 20_000  # characters for estimating the length of a token

Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Servers:
    """The engine, `mlx_lm.server` and mlx-lm itself, all with the same model and BLAS."""

    engine: str
    library_server: str
    library: Child
    characters: float  # characters of a token of `prose`

    def text(self, tokens: int, *, seed: int) -> str:
        """About so many tokens of text."""
        return prose(int(tokens * self.characters), seed=seed)


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Cached turns in a growing conversation, then uncached prompts."""
    long, warm_turns, cold_turns = (1_500, 2, 1) if quick else (LONG, 9, 3)
    with _servers(folder, quick=quick) as servers:
        return [*_cached(servers, long, warm_turns), *_uncached(servers, long, cold_turns)]


@contextmanager
def _servers(folder: Path, *, quick: bool) -> Iterator[Servers]:
    from bench.random_model import bench_shape, build_random_model
    from engine.models.loading import load_model

    shape = bench_shape(quick, hidden_size=256, layers=4, heads=2)
    model = build_random_model(folder / "model", "qwen3", shape, eos_every=None)
    tokenizer = load_model(model, lambda *_: None).tokenizer
    characters = _SAMPLE / len(tokenizer.encode(prose(_SAMPLE, seed=0)))
    environment, _ = engine_environment(clean_environment(HOME=str(folder)))
    with ExitStack() as stack:

        def start(name: str, module: str, **settings: Any) -> Child:
            log = folder / f"{name}.log"
            command = python("-m", module)
            return stack.enter_context(
                child(name, command, settings=settings, log=log, environment=environment)
            )

        library = start("library", "bench.library_decode", model=str(model))
        engine = start("engine", "engine", model=str(model), host="127.0.0.1", port=0)
        wait_ready(engine, "/health")
        peer = stack.enter_context(library_server(folder, model))
        yield Servers(engine.url, peer, library, characters)


def _cached(servers: Servers, long: int, turns: int) -> list[Figure]:
    """Each turn goes to all three; the first ones, which are uncached, do not count."""
    said: Messages = [
        {"role": "system", "content": servers.text(long, seed=1)},
        {"role": "user", "content": servers.text(NEW, seed=2)},
    ]
    urls = (servers.engine, servers.library_server)
    for url in urls:
        stream_chat(url, chat_body(said, _ANSWER))
    firsts: dict[str, list[float]] = {url: [] for url in urls}
    pure: list[float] = []
    new = 0
    for number in range(turns):
        known = said
        said = [
            *known,
            {"role": "assistant", "content": "Done."},
            {"role": "user", "content": servers.text(NEW - 20, seed=10 + number)},
        ]
        for url in urls if number % 2 else reversed(urls):
            firsts[url].append(1e3 * stream_chat(url, chat_body(said, _ANSWER)).first_s)
        alone = servers.library.ask({"known": known, "messages": said})
        pure.append(1e3 * alone["turn_s"])
        new = alone["new_tokens"]
    what = f"first token of a warm turn, {new} on {long:,}"
    ours, theirs = firsts[servers.engine], firsts[servers.library_server]
    return [
        _figure(what, "ms", ours, Peer("mlx_lm.server", median(theirs)), theirs, target=1.0),
        _figure(what, "ms", ours, Peer("the model alone", median(pure)), pure),
    ]


def _uncached(servers: Servers, long: int, turns: int) -> list[Figure]:
    """Speeds, so that more is better."""
    measured: dict[str, list[float]] = {
        name: [] for name in ("prefill", "peer prefill", "decode", "peer decode")
    }
    for number in range(turns):
        said: Messages = [{"role": "user", "content": servers.text(long, seed=100 + number)}]
        asked = {"messages": said, "max_tokens": _COLD_ANSWER}
        peer = servers.library.ask(asked) if number % 2 else {}
        ours = stream_chat(servers.engine, chat_body(said, _COLD_ANSWER))
        peer = peer or servers.library.ask(asked)
        measured["prefill"].append(peer["prompt_tokens"] / ours.first_s)
        measured["peer prefill"].append(peer["prompt_tokens"] / peer["first_s"])
        measured["decode"].append((_COLD_ANSWER - 1) / (ours.last_s - ours.first_s))
        measured["peer decode"].append(peer["tokens_per_s"])
    return [
        _figure(
            f"{what} of {long:,} cold tokens" if what == "prefill" else f"{what} behind them",
            "tokens/s",
            measured[what],
            Peer("mlx_lm.stream_generate", median(measured[f"peer {what}"])),
            measured[f"peer {what}"],
            target=LIBRARY_SHARE,
            at_least=True,
        )
        for what in ("prefill", "decode")
    ]


def _figure(
    metric: str,
    unit: str,
    ours: list[float],
    peer: Peer,
    theirs: list[float],
    *,
    target: float | None = None,
    at_least: bool = False,
) -> Figure:
    return Figure(
        bench="turn_latency",
        metric=metric,
        unit=unit,
        value=median(ours),
        peer=peer,
        ratio=median(own / other for own, other in zip(ours, theirs, strict=True)),
        target=target,
        bound="at least" if at_least else "at most",
        on="ratio",
        runs=len(ours),
    )
