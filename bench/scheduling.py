"""Several sessions on one engine: their total time, and how long a short turn waits for a long one.

Four sessions with a shared prefix run their turns at the same time, on the engine and on `mlx_lm.server`.
Then a short turn of a cached session arrives while an uncached prompt of 15,000 tokens is prefilled: it
should wait for the current chunk, and then run as if it were alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from bench.chat_stream import chat_body, stream_chat
from bench.claude_request import prose
from bench.engine_server import engine_server
from bench.figure import Figure, Peer
from bench.library_server import library_server
from engine.wire.feed import FEED_HEADER, FEED_OBJECT

TOGETHER, PASSING = 1.0, 1.1
SESSIONS, TURNS = 4, 3
_CHARACTERS = 5  # characters of a token of `prose`, about

Messages = list[dict[str, Any]]


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Both, with a small model whose answers do not end by themselves."""
    from bench.random_model import bench_shape, build_random_model

    shape = bench_shape(quick, hidden_size=256, layers=4, heads=2)
    model = build_random_model(folder / "model", "qwen3", shape, eos_every=None)
    with engine_server(folder, model) as engine:
        with library_server(folder, model) as peer:
            together = _together(engine, peer, quick=quick)
        return [together, _passing(engine, quick=quick)]


def _together(engine: str, peer: str, *, quick: bool) -> Figure:
    head, own, answer, rounds = (300, 200, 8, 1) if quick else (2_500, 1_000, 48, 4)
    took: dict[str, list[float]] = {engine: [], peer: []}
    for round_ in range(rounds):
        for url in (engine, peer) if round_ % 2 else (peer, engine):
            took[url].append(_seconds(lambda: _sessions(url, round_, head, own, answer)))  # noqa: B023
    return Figure(
        bench="scheduling",
        metric=f"{SESSIONS} sessions of {TURNS} turns at once",
        unit="s",
        value=median(took[engine]),
        peer=Peer("mlx_lm.server", median(took[peer])),
        ratio=median(ours / theirs for ours, theirs in zip(took[engine], took[peer], strict=True)),
        target=TOGETHER,
        on="ratio",
        runs=rounds,
    )


def _sessions(url: str, round_: int, prefix: int, own: int, answer: int) -> None:
    """All turns of all sessions; the words are new in each round."""

    def session(number: int) -> None:
        seed = 1000 * round_ + 10 * number
        said: Messages = [{"role": "system", "content": _text(prefix, seed=1000 * round_)}]
        for turn in range(TURNS):
            said = [*said, {"role": "user", "content": _text(own, seed=seed + turn + 1)}]
            stream_chat(url, chat_body(said, answer))
            said = [*said, {"role": "assistant", "content": "Done."}]

    with ThreadPoolExecutor(SESSIONS) as threads:
        list(threads.map(session, range(SESSIONS)))


def _passing(engine: str, *, quick: bool) -> Figure:
    cold, warm, rounds = (2_000, 500, 1) if quick else (15_000, 2_000, 7)
    said: Messages = [{"role": "system", "content": _text(warm, seed=1)}]
    alone, passing, floors = [], [], []

    def turn(number: int) -> float:
        """The time to the first token of one more turn, in milliseconds."""
        nonlocal said
        said = [*said, {"role": "user", "content": _text(60, seed=10 + number)}]
        first = 1e3 * stream_chat(engine, chat_body(said, 4)).first_s
        said = [*said, {"role": "assistant", "content": "Done."}]
        return first

    turn(0)
    for number in range(rounds):
        alone.append(turn(2 * number + 1))
        with _UncachedPrefill(engine, _text(cold, seed=5000 + number)) as prefill:
            prefill.wait_until_half()
            passing.append(turn(2 * number + 2))
            floors.append(prefill.chunk_ms() + alone[-1])
    return Figure(
        bench="scheduling",
        metric=f"first token of a warm turn in a prefill of {cold:,}",
        unit="ms",
        value=median(passing),
        peer=Peer("a chunk and the turn alone", median(floors)),
        ratio=median(own / floor for own, floor in zip(passing, floors, strict=True)),
        target=PASSING,
        on="ratio",
        runs=rounds,
    )


class _UncachedPrefill:
    """A long uncached prompt that is prefilled meanwhile; ends with its first token."""

    def __init__(self, url: str, text: str) -> None:
        self._times: list[float] = []  # time of the end of each chunk
        self._half = threading.Event()
        body = chat_body([{"role": "user", "content": text}], 1)
        self._thread = threading.Thread(
            target=lambda: stream_chat(url, body, headers={FEED_HEADER: "1"}, on_data=self._take), daemon=True
        )

    def __enter__(self) -> _UncachedPrefill:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def wait_until_half(self) -> None:
        if not self._half.wait(600):
            raise TimeoutError("waited 600 s in vain for half of a prefill")

    def chunk_ms(self) -> float:
        """The time of a chunk about half way, without the chunks of others: the median of the last four."""
        times = self._times[:]
        steps = [later - earlier for earlier, later in pairwise(times)]
        return 1e3 * median(steps[-4:])

    def _take(self, data: dict[str, Any]) -> None:
        if data.get("object") != FEED_OBJECT or data.get("kind") != "prefill":
            return
        self._times.append(time.perf_counter())
        if data["done"] >= data["total"] / 2:
            self._half.set()


def _text(tokens: int, *, seed: int) -> str:
    return prose(tokens * _CHARACTERS, seed=seed)


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
