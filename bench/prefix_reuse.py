"""How much of the real Claude Code's prompts is prefilled, compared with the floor and a peer.

The client's requests are recorded in this run and sent again, in order, to their own proxy and engine and, as
the proxy translates them, to `mlx_lm.server`, with random models for each kind of cache. The floor is what
any cache must compute: each distinct prefix once, and at least one token of each request. A second round adds
the traffic of `bench.derived_traffic`: side requests, subagents, cancelled and repeated requests.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.derived_traffic import Sent, mixed
from bench.figure import Figure, Peer
from bench.library_server import library_server
from bench.prefill_floor import floor
from bench.recorded_traffic import PROMPTS, ClientMissing, Recorded, record
from bench.replay import MAX_TOKENS, TIMEOUT_S, Host, running_host

TARGETS = {"qwen3": 1.02, "gemma3_text": 1.05, "qwen3_5": 1.05}
_QUICK_PROMPTS = ("Who are you?", "Tell me a joke")


@dataclass(frozen=True)
class Replay:
    """Tokens of a whole replay."""

    prompt: int
    prefilled: int


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Prefilled tokens for each kind of cache; no figures without the real client."""
    try:
        recorded = record(folder, prompts=_QUICK_PROMPTS if quick else PROMPTS)
    except ClientMissing as missing:
        print(f"prefix_reuse: {missing}", file=sys.stderr)
        return []
    figures: list[Figure] = []
    for architecture in ("qwen3",) if quick else TARGETS:
        figures += _figures(folder / architecture, architecture, recorded)
    return figures


def _figures(folder: Path, architecture: Any, recorded: list[Recorded]) -> list[Figure]:
    from bench.random_model import build_random_model

    folder.mkdir()
    model = build_random_model(folder / "model", architecture)
    plain = [Sent(request) for request in recorded]
    return [
        *_round(folder / "plain", model, architecture, "", plain),
        *_round(folder / "mixed", model, architecture, "mixed, ", mixed(recorded)),
    ]


def _round(folder: Path, model: Path, architecture: str, kind: str, sent: Sequence[Sent]) -> list[Figure]:
    with running_host(folder, model) as host:
        ours = _replay_messages(host, sent)
        bodies = _whole(host.upstream_bodies(), sent)
        lowest = floor([host.tokens(body) for body in bodies])
    with library_server(folder, model) as url:
        theirs = _replay_chat(url, bodies)
    return [
        _figure(architecture, kind, ours, Peer("floor", lowest), TARGETS[architecture]),
        _figure(architecture, kind, ours, Peer("mlx_lm.server", theirs.prefilled), None),
    ]


def _figure(architecture: str, kind: str, ours: Replay, peer: Peer, target: float | None) -> Figure:
    return Figure(
        bench="prefix_reuse",
        metric=f"tokens prefilled of {ours.prompt:,}, {kind}{architecture}",
        unit="tokens",
        value=ours.prefilled,
        peer=peer,
        ratio=ours.prefilled / peer.value,
        target=target,
        on="ratio",
        runs=1,
    )


def _replay_messages(host: Host, sent: Sequence[Sent]) -> Replay:
    """The prefilled tokens that the engine itself counts, also for cancelled requests."""
    before, prompt = host.prefilled(), 0
    for one in sent:
        if one.cancelled:
            host.cancel(one.request, one.cancelled)
        else:
            prompt += sum(tokens for name, tokens in host.send(one.request).items() if "input" in name)
    return Replay(prompt, host.prefilled() - before)


def _whole(bodies: list[dict[str, Any]], sent: Sequence[Sent]) -> list[dict[str, Any]]:
    """The requests that were not cancelled: a repetition computes at least what the cancelled request did.

    The peer does not get the cancelled ones: it does not report what it computed for a client that
    disconnected.
    """
    return [body for body, one in zip(bodies, sent, strict=True) if not one.cancelled]


def _replay_chat(url: str, bodies: list[dict[str, Any]]) -> Replay:
    prompt = reused = 0
    with httpx.Client(base_url=url, trust_env=False, timeout=TIMEOUT_S) as http:
        for body in bodies:
            asked = body | {"model": "default_model", "stream": False, "max_tokens": MAX_TOKENS}
            usage = http.post("/v1/chat/completions", json=asked).raise_for_status().json()["usage"]
            prompt += usage["prompt_tokens"]
            reused += (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return Replay(prompt, prompt - reused)
