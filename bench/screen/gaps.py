"""What the screen beside them does to streams: the gaps between their deltas, with a screen and without one.

A scripted upstream writes eight answers of 100 tokens a second through a real host; their clients and the
screen, which is attached to that host in a terminal, are processes of their own. For each pane the two
conditions take turns, without, with, without, with, so that what else the machine does is in both.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

from bench.child import Child, child, python
from bench.figure import Figure, Peer
from bench.proxy_overhead import servers
from tui.screen.keys.command import PANES

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bench.screen.terminal import MeasuredTerminal

GROWN_MS = 5.0
ROUNDS, WINDOW_S, SETTLE_S = 3, 4.0, 1.5
ANSWER_TOKENS = 1_000


def measure(
    folder: Path,
    screen: Callable[[Child, Path], AbstractContextManager[MeasuredTerminal]],
    *,
    streams: int,
    tokens_per_s: int,
    quick: bool = False,
) -> list[Figure]:
    """Two figures a pane: the gaps' 99th percentile with the screen, and by how much it has grown."""
    rounds, window_s = (1, 0.5) if quick else (ROUNDS, WINDOW_S)
    found: list[Figure] = []
    with _host(folder, tokens_per_s) as host, _clients(folder, host, streams, quick=quick) as clients:

        def gaps() -> list[float]:
            told: list[float] = clients.ask({"seconds": window_s})["gaps_ms"]
            return told

        for number, (_, title) in list(enumerate(PANES, 1))[: 1 if quick else None]:
            alone: list[float] = []
            beside: list[float] = []
            for _ in range(rounds):
                time.sleep(SETTLE_S)
                alone += gaps()
                with screen(host, folder) as terminal:
                    terminal.press(str(number))
                    time.sleep(SETTLE_S)
                    beside += gaps()
            found += _figures(title, alone, beside, rounds)
    return found


@contextmanager
def _host(folder: Path, tokens_per_s: int) -> Iterator[Child]:
    """The real host, in front of an upstream that writes one delta a token."""
    home = folder / "gaps"
    home.mkdir(exist_ok=True)
    with servers(home, deltas=ANSWER_TOKENS, interval_s=1 / tokens_per_s) as (_, host):
        yield host


@contextmanager
def _clients(folder: Path, host: Child, streams: int, *, quick: bool) -> Iterator[Child]:
    answer_s = 0.0 if quick else ANSWER_TOKENS / 100
    settings = {"url": host.url, "streams": streams, "apart_s": answer_s / streams}
    command = python("-m", "bench.screen.stream_reader")
    with child("clients", command, settings=settings, log=folder / "gaps-clients.log") as clients:
        time.sleep(answer_s + SETTLE_S)  # until all of them read
        yield clients


def _figures(title: str, alone: Sequence[float], beside: Sequence[float], rounds: int) -> list[Figure]:
    without, with_it = p99(alone), p99(beside)
    peer = Peer("without a screen", without)
    ratio = with_it / without if without else 0.0

    def figure(metric: str, value: float, target: float | None) -> Figure:
        return Figure("screen", metric, "ms", value, peer, ratio, rounds, target)

    return [
        figure(f"gap of the streams beside {title}, p99", with_it, None),
        figure(f"that gap has grown, {title}", with_it - without, GROWN_MS),
    ]


def p99(values: Sequence[float]) -> float:
    """The 99th percentile."""
    return quantiles(values, n=100, method="inclusive")[98]
