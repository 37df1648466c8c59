"""What it takes to look for secrets in a body of 4 MB, beside reading and writing it as JSON.

In processor time: it is done beside a running host, in a thread, for each request that is recorded.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from bench.figure import Figure, Peer
from proxy.traces.redaction.redact import Redactor

CODE_S, HOSTILE_S = 1.0, 6.0
_BYTES, _QUICK_BYTES = 4 << 20, 100_000
_PACKAGES = ("proxy", "engine")
_LINE = "2026-01-01T00:00:00 INFO worker 7 did 12 of 30 things for ada in 0.3 s\n"
_HOSTILE = 'password="a TOKEN=TOKEN=$x{ token=key:password secret: '


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Source code, a log, and a text of nothing but what looks like the beginning of a secret."""
    size, runs = (_QUICK_BYTES, 1) if quick else (_BYTES, 5)
    root = Path(__file__).parents[1]
    code = [path.read_text() for package in _PACKAGES for path in sorted((root / package).rglob("*.py"))]
    texts = (
        ("source code", _as_long_as(size, code), CODE_S),
        ("a log", _as_long_as(size, [_LINE * 100]), CODE_S),
        ("beginnings of secrets", _as_long_as(size, [_HOSTILE * 100]), HOSTILE_S),
    )
    return [_figure(name, text, target, runs) for name, text, target in texts]


def _as_long_as(size: int, parts: list[str]) -> str:
    shortest = min(map(len, parts)) or 1
    return "".join(islice(cycle(parts), 1 + size // shortest))[:size]


def _figure(name: str, text: str, target: float, runs: int) -> Figure:
    redactor = Redactor(["the-token-of-the-host"])
    ours = [_processor_s(lambda: redactor.text(text)) for _ in range(runs)]
    theirs = [_processor_s(lambda: json.loads(json.dumps(text))) for _ in range(runs)]
    return Figure(
        bench="redaction",
        metric=f"secrets in {len(text):,} characters of {name}",
        unit="s of CPU",
        value=median(ours),
        peer=Peer("writing and reading it as JSON", median(theirs)),
        ratio=median(a / b for a, b in zip(ours, theirs, strict=True)),
        target=target,
        runs=runs,
    )


def _processor_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
