"""What the proxy adds: the same answer read from the upstream directly and through the proxy, in turns."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

from bench.child import child, python, wait_ready
from bench.claude_request import anthropic_body, openai_body
from bench.figure import Figure, Peer
from bench.raw_stream import RawStream, StreamTiming

DELTAS = 400
FIRST_DELTA_MS = 5.0
PER_DELTA_US = 120.0

Pair = tuple[StreamTiming, StreamTiming]  # direct, through the proxy


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Run the pairs; traces are on, as they are for users."""
    pairs = collect(folder, pairs=3 if quick else 60, warm_up=1 if quick else 8)
    return [
        _figure(pairs, "first delta, added", "ms", 1e3, "first_s", FIRST_DELTA_MS),
        _figure(pairs, "each further delta, added", "us", 1e6, "per_delta_s", PER_DELTA_US),
        _figure(pairs, "whole answer, added", "ms", 1e3, "end_s", None),
    ]


def collect(folder: Path, *, pairs: int, warm_up: int) -> list[Pair]:
    """Timings of `pairs` direct and proxied calls, each pair back to back."""
    with child(
        "upstream",
        python("-m", "bench.instant_upstream"),
        settings={"deltas": DELTAS},
        log=folder / "upstream.log",
    ) as upstream:
        config = {
            "backend": "openai",
            "backend_url": f"{upstream.url}/v1",
            "model": "instant",
            "home": str(folder / "home"),
            "port": 0,
        }
        with child("proxy", python("-m", "proxy"), settings=config, log=folder / "proxy.log") as proxy:
            wait_ready(proxy)
            return _in_turns(upstream.url, proxy.url, pairs, warm_up)


def _in_turns(direct_url: str, proxy_url: str, pairs: int, warm_up: int) -> list[Pair]:
    direct_body = json.dumps(openai_body("instant")).encode()
    proxy_body = json.dumps(anthropic_body("instant")).encode()
    timings: list[Pair] = []
    with RawStream(direct_url) as direct, RawStream(proxy_url) as proxied:
        for _ in range(warm_up + pairs):
            timings.append(
                (
                    direct.post("/v1/chat/completions", direct_body, delta=b'"content": " word'),
                    proxied.post("/v1/messages?beta=true", proxy_body, delta=b'"text_delta"'),
                )
            )
    for one, other in timings:
        if (one.deltas, other.deltas) != (DELTAS, DELTAS):
            raise RuntimeError(f"{DELTAS} deltas were sent; {one.deltas} and {other.deltas} arrived")
    return timings[warm_up:]


def _figure(
    pairs: list[Pair], metric: str, unit: str, scale: float, part: str, target: float | None
) -> Figure:
    direct = [scale * getattr(one, part) for one, _ in pairs]
    proxied = [scale * getattr(other, part) for _, other in pairs]
    return Figure(
        bench="proxy_overhead",
        metric=metric,
        unit=unit,
        value=median(p - d for d, p in zip(direct, proxied, strict=True)),
        peer=Peer("the call without the proxy", median(direct)),
        ratio=median(p / d for d, p in zip(direct, proxied, strict=True)),
        target=target,
        runs=len(pairs),
    )
