"""What the proxy adds: the same answer read directly and through the proxy, in alternation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from bench.child import Child, child, python, wait_ready
from bench.claude_request import anthropic_body, openai_body
from bench.figure import Figure, Peer
from bench.raw_stream import RawStream, StreamTiming

FEW, MANY = 5, 400  # deltas of an answer
FIRST_DELTA_MS = 5.0
PER_DELTA_US = 120.0
_TEXT_DELTA = b'"text_delta"'

# Between deltas that are read, translated and written one by one. Without it the bench would also measure how
# long an upstream that never waits occupies a core.
ONE_BY_ONE_S = 0.001

Pair = tuple[StreamTiming, StreamTiming]  # direct, through the proxy


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Run the pairs; traces are on, as by default."""
    pairs, warm_up = (3, 1) if quick else (60, 8)
    with servers(folder, deltas=FEW, interval_s=ONE_BY_ONE_S) as (upstream, proxy):
        slow = _in_turns(upstream.url, proxy.url, deltas=FEW, pairs=pairs, warm_up=warm_up)
    with servers(folder, deltas=MANY) as (upstream, proxy):
        flood = _in_turns(upstream.url, proxy.url, deltas=MANY, pairs=pairs, warm_up=warm_up)
    deltas, answers = (50, 1) if quick else (2000, 4)
    with servers(folder, deltas=deltas, interval_s=ONE_BY_ONE_S) as (upstream, proxy):
        processor = _processor_time(upstream, proxy, deltas, answers)
    return [
        _figure(slow, "first delta, added", "ms", 1e3, "first_s", FIRST_DELTA_MS),
        _figure(flood, "each further delta, added", "us", 1e6, "per_delta_s", PER_DELTA_US),
        _figure(flood, "whole answer, added", "ms", 1e3, "end_s", None),
        processor,
    ]


@contextmanager
def servers(folder: Path, **upstream_settings: float) -> Iterator[tuple[Child, Child]]:
    """The upstream, and a proxy in front of it."""
    with child(
        "upstream",
        python("-m", "bench.instant_upstream"),
        settings=upstream_settings,
        log=folder / "upstream.log",
    ) as upstream:
        config = {
            "backend": "openai",
            "backend_name": "openai",
            "backend_url": f"{upstream.url}/v1",
            "model": "instant",
            "home": str(folder / "home"),
            "port": 0,
        }
        with child("proxy", python("-m", "proxy"), settings=config, log=folder / "proxy.log") as proxy:
            wait_ready(proxy)
            yield upstream, proxy


def _in_turns(direct_url: str, proxy_url: str, *, deltas: int, pairs: int, warm_up: int) -> list[Pair]:
    direct_body = json.dumps(openai_body("instant")).encode()
    proxy_body = json.dumps(anthropic_body("instant")).encode()
    timings: list[Pair] = []
    with RawStream(direct_url) as direct, RawStream(proxy_url) as proxied:
        for _ in range(warm_up + pairs):
            timings.append(
                (
                    direct.post("/v1/chat/completions", direct_body, delta=b'"content": " word'),
                    proxied.post("/v1/messages?beta=true", proxy_body, delta=_TEXT_DELTA),
                )
            )
    for one, other in timings:
        if (one.deltas, other.deltas) != (deltas, deltas):
            raise RuntimeError(f"{deltas} deltas were sent; {one.deltas} and {other.deltas} arrived")
    return timings[warm_up:]


def _processor_time(upstream: Child, proxy: Child, deltas: int, answers: int) -> Figure:
    """The proxy's processor time for a delta that comes alone, compared with the upstream's."""
    body = json.dumps(anthropic_body("instant")).encode()
    costs: dict[int, list[float]] = {upstream.pid: [], proxy.pid: []}
    with RawStream(proxy.url) as stream:
        stream.post("/v1/messages", body, delta=_TEXT_DELTA)  # warm-up
        for _ in range(answers):
            before = {pid: _cpu_s(pid) for pid in costs}
            stream.post("/v1/messages", body, delta=_TEXT_DELTA)
            for pid, spent in costs.items():
                spent.append(1e6 * (_cpu_s(pid) - before[pid]) / deltas)
    sent, passed_on = costs[upstream.pid], costs[proxy.pid]
    return Figure(
        bench="proxy_overhead",
        metric="processor time of a delta",
        unit="us",
        value=median(passed_on),
        peer=Peer("sending it", median(sent)),
        ratio=median(own / floor for own, floor in zip(passed_on, sent, strict=True)) if all(sent) else 0.0,
        runs=answers,
    )


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


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
