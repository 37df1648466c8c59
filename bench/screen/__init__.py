"""What the screen costs, beside an empty app of the same library in the same run.

A host of the bench's own (`bench/screen/feed.py`) writes eight answers of 100 tokens a second; the real
command shows them in a terminal of 120 × 40 that counts what it is sent. What it does to streams is
measured on a real host (`bench/screen/gaps.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from bench.child import Child, child, clean_environment, poll, python
from bench.figure import Figure, Peer
from bench.screen import gaps
from bench.screen.awake import awake_processors
from bench.screen.terminal import MeasuredTerminal, measured_terminal
from tui.screen.keys.command import PANES

STREAMS, TOKENS_PER_S, TURN_TOKENS = 8, 100, 2_000
LOAD_CORE, KB_PER_S = 15.0, 20.0  # per cent of a core; kB
KEY_MS, SWITCH_MS, FIRST_FRAME_S, GROWTH_MB, TEXT_S = 10.0, 20.0, 0.35, 20.0, 0.1
SLOW_LINK, SLOW_ANSWER_S = 30_000, 0.5  # bytes a second
FRAMES, LOAD_S, REST_S = 7, 10.0, 12.0
_REPOSITORY = str(Path(__file__).parents[2])
_ENVIRON = {"PYTHONPATH": _REPOSITORY}


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """All figures; the empty app runs beside ours."""
    settings = {"streams": STREAMS, "tokens_per_s": TOKENS_PER_S, "turn_tokens": TURN_TOKENS}
    with child("feed", python("-m", "bench.screen.feed"), settings=settings, log=folder / "feed.log") as feed:
        with _screen(feed, folder) as ours, _empty(folder) as empty:
            if quick:
                return [*_at_rest(feed, ours, empty, keys=2), *_gaps(folder, quick=True)]
            with measured_terminal(_probe("textual", feed.url), folder, environ=_ENVIRON) as textual:
                textual.wait_for("tok/s")
                found = _under_load(ours, empty, textual)
            found += _at_rest(feed, ours, empty, keys=40)
        found += [_first_frame(folder), _slow_link(feed, folder), _hours(folder), *_texts(folder)]
    return [*found, *_gaps(folder)]


def _gaps(folder: Path, *, quick: bool = False) -> list[Figure]:
    return gaps.measure(folder, _screen, streams=STREAMS, tokens_per_s=TOKENS_PER_S, quick=quick)


def _probe(*arguments: str) -> list[str]:
    return python(str(Path(__file__).with_name("probe.py")), *arguments)


@contextmanager
def _screen(feed: Child, folder: Path, *, bytes_per_s: int = 0) -> Iterator[MeasuredTerminal]:
    command = [str(Path(sys.executable).with_name("anyclaude-tui")), "--attach", feed.url]
    with measured_terminal(command, folder, bytes_per_s=bytes_per_s, environ=_ENVIRON) as terminal:
        terminal.wait_for("tok/s")
        yield terminal


@contextmanager
def _empty(folder: Path) -> Iterator[MeasuredTerminal]:
    with measured_terminal(_probe("empty"), folder, environ=_ENVIRON) as terminal:
        terminal.wait_for("empty")
        yield terminal


# -- under load --------------------------------------------------------------------------------------------


def _under_load(ours: MeasuredTerminal, empty: MeasuredTerminal, textual: MeasuredTerminal) -> list[Figure]:
    time.sleep(3)
    found: list[Figure] = []
    for number, (_, title) in enumerate(PANES, 1):
        for terminal in (ours, textual):
            terminal.press(str(number))
        time.sleep(1.5)
        before = [(one.cpu_s(), one.written, time.monotonic()) for one in (ours, empty, textual)]
        time.sleep(LOAD_S)
        shares: list[float] = []
        written: list[float] = []
        for one, (cpu, bytes_, began) in zip((ours, empty, textual), before, strict=True):
            took = time.monotonic() - began
            shares.append(100 * (one.cpu_s() - cpu) / took)
            written.append((one.written - bytes_) / took / 1000)
        found.append(
            _figure(f"{title} under load", "% of a core", shares[0], "an empty app", shares[1], LOAD_CORE)
        )
        metric = f"written under load, {title}"
        found.append(_figure(metric, "kB/s", written[0], "Textual's own frames", written[2], KB_PER_S))
    return found


def _figure(
    metric: str, unit: str, value: float, peer: str, theirs: float, target: float, runs: int = 1
) -> Figure:
    return Figure(
        bench="screen",
        metric=metric,
        unit=unit,
        value=value,
        peer=Peer(peer, theirs),
        ratio=value / theirs if theirs else 0.0,
        target=target,
        runs=runs,
    )


# -- at rest -----------------------------------------------------------------------------------------------


def _at_rest(feed: Child, ours: MeasuredTerminal, empty: MeasuredTerminal, *, keys: int) -> list[Figure]:
    httpx.post(f"{feed.url}/pause", trust_env=False)
    try:
        ours.press("1")
        time.sleep(REST_S if keys > 2 else 0)  # the strip of the speed comes to rest
        with awake_processors():
            rows = _costs_ms((ours, empty), islice(cycle("jk"), keys))
            panes = _costs_ms((ours, empty), islice(cycle("23451"), keys))
    finally:
        httpx.post(f"{feed.url}/resume", trust_env=False)
    name = "a key of an empty app"
    return [
        _figure("a key that moves the selection", "ms CPU", rows[0], name, rows[1], KEY_MS, keys),
        _figure("a key that shows another pane", "ms CPU", panes[0], name, panes[1], SWITCH_MS, keys),
    ]


def _costs_ms(terminals: Sequence[MeasuredTerminal], keys: Iterator[str]) -> list[float]:
    """The median processor time of a key for each; they take turns, so that they have the same machine."""
    costs: list[list[float]] = [[] for _ in terminals]
    for key in keys:
        for terminal, found in zip(terminals, costs, strict=True):
            found.append(_cost_s(terminal, key))
    return [1e3 * max(0.0, median(found)) for found in costs]


def _cost_s(terminal: MeasuredTerminal, key: str) -> float:
    """The processor time from a key to a quiet screen, less what that time costs without a key."""
    terminal.wait_until_quiet()
    before, began = terminal.cpu_s(), time.monotonic()
    terminal.press(key)
    terminal.wait_until_quiet(after_more=True)
    cost, took = terminal.cpu_s() - before, time.monotonic() - began
    before = terminal.cpu_s()
    time.sleep(took)
    return cost - (terminal.cpu_s() - before)


def _first_frame(folder: Path) -> Figure:
    ours: list[float] = []
    empties: list[float] = []
    for number in range(FRAMES + 1):  # the first compiles what both import
        for kind, found in (("own", ours), ("empty", empties)):
            note = folder / f"first-{kind}-{number}"
            kept = {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
            environ = _ENVIRON | kept | {"FIRST_FRAME": str(note)}
            with measured_terminal(_probe("first", kind), folder, environ=environ):
                found.append(float(poll(lambda: _text(note), timeout_s=60, what="a frame")))  # noqa: B023
    return Figure(
        bench="screen",
        metric="first frame",
        unit="s CPU",
        value=median(ours[1:]),
        peer=Peer("of an empty app", median(empties[1:])),
        ratio=median(own / theirs for own, theirs in zip(ours[1:], empties[1:], strict=True)),
        target=FIRST_FRAME_S,
        runs=len(ours) - 1,
    )


def _text(path: Path) -> str | None:
    return (path.read_text() if path.exists() else "") or None


# -- far away, and long ------------------------------------------------------------------------------------


def _slow_link(feed: Child, folder: Path) -> Figure:
    """Keys under load on a terminal that reads slowly, beside one that reads at once."""
    slow: list[float] = []
    fast: list[float] = []
    with _screen(feed, folder, bytes_per_s=SLOW_LINK) as far, _screen(feed, folder) as near:
        time.sleep(8)
        for terminal, found in ((far, slow), (near, fast)):
            for _ in range(6):
                found.append(_answer_s(terminal, "?", lambda text: "╭" in text))
                found.append(_answer_s(terminal, "\x1b", lambda text: "╭" not in text))
                time.sleep(1.0)
    return _figure(
        "a key under load at 30 kB/s, slowest of 12",
        "s",
        max(slow),
        "at full speed",
        max(fast),
        SLOW_ANSWER_S,
        len(slow),
    )


def _answer_s(terminal: MeasuredTerminal, key: str, is_answer: Callable[[str], bool]) -> float:
    began = time.monotonic()
    terminal.press(key)
    poll(lambda: is_answer(terminal.text), timeout_s=60, every_s=0.005, what=f"an answer to {key!r}")
    return time.monotonic() - began


def _told(probe: str, folder: Path) -> dict[str, Any]:
    environ = clean_environment(**_ENVIRON, COLORTERM="truecolor", TERM="xterm-256color")
    done = subprocess.run(_probe(probe), cwd=folder, env=environ, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _texts(folder: Path) -> Iterator[Figure]:
    told = _told("texts", folder)
    least = told["an empty text"]["own"]
    for name, seconds in told.items():
        # Long ones are shown by our own view alone: beside them stands what the screen itself takes.
        peer = Peer("Textual's widget", seconds["textual"]) if "textual" in seconds else Peer("empty", least)
        yield Figure(
            bench="screen",
            metric=f"to open {name}",
            unit="s",
            value=seconds["own"],
            peer=peer,
            ratio=seconds["own"] / peer.value,
            target=TEXT_S if "MB" in name else None,
            runs=1,
        )


def _hours(folder: Path) -> Figure:
    held = _told("hours", folder)
    growth = (held["last"] - held["first"]) / 1e6
    return Figure(
        bench="screen",
        metric="memory grown in hours 2 to 8",
        unit="MB",
        value=growth,
        peer=Peer("held after the first hour", held["first"] / 1e6),
        ratio=held["last"] / held["first"],
        target=GROWTH_MB,
        runs=1,
    )
