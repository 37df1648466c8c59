"""How much of a whole day in Claude Code is prefilled, and why each token above the floor is.

The day (`bench.recorded_day`) is recorded in this run and sent again, in order, to a proxy and engine with an
empty cache, for a random model of each kind of cache. The floor computes each distinct prefix once, with
deferred tools where they are referred to (`bench.late_tools`): a tool that is loaded later leaves the head as
it was. What the engine computes above it has one of these causes:

- rendering: the prompts as the engine has them share less than those of the floor (a late tool in the head);
- lost, by lane: a prefix that an earlier request had computed was not found, also by the model with plain KV;
- no state: it was found, but windows and recurrent layers go on only from where their state was saved.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figure import Figure, Peer
from bench.late_tools import shown_in_place
from bench.prefill_floor import floors
from bench.prefix_reuse import TARGETS
from bench.recorded_traffic import ClientMissing, Recorded
from bench.replay import Host, running_host
from proxy.backends.mlx import MlxBackend
from proxy.translate.request import translate_request
from proxy.translate.server_tools import direct_query

PLAIN = "qwen3"  # its KV can be cut anywhere
_QUICK_REQUESTS = 4


@dataclass(frozen=True)
class Request:
    """One request of the replay, in tokens: its prompt, and what was and had to be prefilled.

    `by_plain_kv` is what the model with plain KV prefilled, `as_rendered` the floor of the engine's own
    prompts, `lowest` that with late tools in place.
    """

    lane: str
    prompt: int
    prefilled: int
    by_plain_kv: int
    as_rendered: int
    lowest: int


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Prefilled tokens for each kind of cache; no figures without the real client."""
    from bench.recorded_day.playing import record_day  # imports that no other bench needs

    try:
        recorded = record_day(folder)
    except ClientMissing as missing:
        print(f"day_reuse: {missing}", file=sys.stderr)
        return []
    # The host answers a lone web search itself, which it has no engine for: no prompt is made.
    recorded = [request for request in recorded if not direct_query(request.body)]
    if quick:
        recorded = recorded[:_QUICK_REQUESTS]
    plain, prompts, lowest = _replayed_by_plain_kv(folder / PLAIN, recorded)
    figures: list[Figure] = []
    for architecture in (PLAIN,) if quick else TARGETS:
        prefilled = (
            plain if architecture == PLAIN else _replayed(folder / architecture, architecture, recorded)
        )
        requests = [
            Request(_lane(request), len(prompt), *tokens)
            for request, prompt, *tokens in zip(
                recorded, prompts, prefilled, plain, floors(prompts), lowest, strict=True
            )
        ]
        figures += _figures(architecture, requests)
    return figures


def _replayed_by_plain_kv(
    folder: Path, recorded: Sequence[Recorded]
) -> tuple[list[int], list[list[int]], list[int]]:
    """What each request prefilled, its prompt, and its floor with late tools in place.

    The prompts are those of the other models too: all have one tokenizer and template.
    """
    with _host(folder, PLAIN) as host:
        prefilled = [_prefilled(host, request) for request in recorded]
        prompts = [host.tokens(body) for body in host.upstream_bodies()]
        return prefilled, prompts, floors([host.tokens(_in_place(one.body)) for one in recorded])


def _replayed(folder: Path, architecture: Any, recorded: Sequence[Recorded]) -> list[int]:
    with _host(folder, architecture) as host:
        return [_prefilled(host, request) for request in recorded]


@contextmanager
def _host(folder: Path, architecture: Any) -> Iterator[Host]:
    from bench.random_model import RandomShape, build_random_model

    folder.mkdir()
    shape = RandomShape(hidden_size=64, head_dim=32, feed_forward=128)
    with running_host(folder, build_random_model(folder / "model", architecture, shape)) as host:
        yield host


def _prefilled(host: Host, request: Recorded) -> int:
    before = host.prefilled()
    host.send(request)
    return host.prefilled() - before


def _in_place(body: dict[str, Any]) -> dict[str, Any]:
    return translate_request(shown_in_place(body), MlxBackend.dialect).body


def _lane(request: Recorded) -> str:
    return request.headers.get("x-claude-code-request-class", "main")


def causes(requests: Sequence[Request]) -> dict[str, int]:
    """The tokens prefilled above the floor, by cause; they add up to all of them."""
    tokens: Counter[str] = Counter()
    for one in requests:
        tokens["rendering"] += one.as_rendered - one.lowest
        tokens[f"lost, {one.lane}"] += one.by_plain_kv - one.as_rendered
        tokens["no state"] += one.prefilled - one.by_plain_kv
    return {cause: count for cause, count in tokens.items() if count}


def _figures(architecture: str, requests: Sequence[Request]) -> list[Figure]:
    prompt, lowest = (sum(getattr(one, name) for one in requests) for name in ("prompt", "lowest"))
    prefilled = sum(one.prefilled for one in requests)

    def figure(metric: str, value: int, target: float | None = None) -> Figure:
        return Figure(
            bench="day_reuse",
            metric=metric,
            unit="tokens",
            value=value,
            peer=Peer("floor", lowest),
            ratio=value / lowest,
            target=target,
            on="ratio",
            runs=1,
        )

    return [
        figure(f"tokens prefilled of {prompt:,}, a day, {architecture}", prefilled, TARGETS[architecture]),
        *(
            figure(f"above the floor, {cause}, {architecture}", count)
            for cause, count in sorted(causes(requests).items())
        ),
    ]
