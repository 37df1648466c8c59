"""Ten sessions in rotation, with memory for six: prefilled tokens, compared with keeping six of them.

The sessions are copies of a recorded session of the real Claude Code with other ids and other user texts, so
that they share only system and tools. The memory that one session takes is measured first; the budget is the
shared prefix and six sessions. In a rotation the next session is always the least recently used one.

The floor keeps the shared prefix and the six most recently used sessions, whole; a cache that keeps parts of
sessions can be below it. The second peer keeps the six sessions that will be used soonest. With a disk cache,
the floor is each distinct prefix once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.derived_traffic import in_rotation, session_with, sessions_of
from bench.figure import Figure, Peer
from bench.prefill_floor import Turn, floor, floor_of_foresight, floor_of_lately_used
from bench.recorded_traffic import ClientMissing, Recorded, record
from bench.replay import Host, running_host
from bench.scratch_project import AGENTIC

TARGETS = {"qwen3": 1.02, "gemma3_text": 1.05, "qwen3_5": 1.05}
SESSIONS, KEPT, TURNS = 10, 6, 5
_QUICK_SESSIONS, _QUICK_KEPT, _QUICK_TURNS = 3, 2, 2


@dataclass(frozen=True)
class Budget:
    """The cache's size in bytes: what the first session takes, and what each further one adds."""

    first: int
    further: int

    def of(self, sessions: int) -> int:
        return self.first + (sessions - 1) * self.further


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Prefilled tokens for each kind of cache, without and with a disk; none without the real client."""
    try:
        recorded = record(folder, prompts=(f"Please {AGENTIC}.",))
    except ClientMissing as missing:
        print(f"interleaved_sessions: {missing}", file=sys.stderr)
        return []
    count, kept, turns = (_QUICK_SESSIONS, _QUICK_KEPT, _QUICK_TURNS) if quick else (SESSIONS, KEPT, TURNS)
    sessions = sessions_of(session_with(recorded, AGENTIC)[:turns], AGENTIC, count)
    figures: list[Figure] = []
    for architecture in ("qwen3",) if quick else TARGETS:
        figures += _figures(folder / architecture, architecture, sessions, kept)
    return figures


def _figures(
    folder: Path, architecture: Any, sessions: Sequence[Sequence[Recorded]], kept: int
) -> list[Figure]:
    from bench.random_model import build_random_model

    folder.mkdir()
    model = build_random_model(folder / "model", architecture)
    with running_host(folder / "two", model, disk_cache_bytes=0) as host:
        budget = _measured_budget(host, sessions)
    limits = {"prefix_cache_bytes": budget.of(kept)}
    with running_host(folder / "memory", model, disk_cache_bytes=0, **limits) as host:
        prefilled = _replay(host, sessions)
        prompts = [host.tokens(body) for body in host.upstream_bodies()]
    order = [number for number, _ in in_rotation(sessions)]
    turns: list[Turn] = list(zip(order, prompts, strict=True))
    with running_host(folder / "disk", model, **limits) as host:
        with_disk = _replay(host, sessions)
    lately = Peer(f"the {kept} used last", floor_of_lately_used(turns, kept))
    soonest = Peer(f"the {kept} needed soonest", floor_of_foresight(turns, kept))
    target = TARGETS[architecture]
    return [
        _figure(f"{len(sessions)} sessions, {architecture}", prefilled, lately, target),
        _figure(f"{len(sessions)} sessions, {architecture}", prefilled, soonest, None),
        _figure(
            f"{len(sessions)} sessions, disk, {architecture}",
            with_disk,
            Peer("floor", floor(prompts)),
            target,
        ),
    ]


def _measured_budget(host: Host, sessions: Sequence[Sequence[Recorded]]) -> Budget:
    held = []
    for session in sessions[:2]:
        for request in session:
            host.send(request)
        held.append(host.stats()["prefix_cache"]["bytes"])
    return Budget(held[0], held[1] - held[0])


def _replay(host: Host, sessions: Sequence[Sequence[Recorded]]) -> int:
    before = host.prefilled()
    for _, request in in_rotation(sessions):
        host.send(request)
    return host.prefilled() - before


def _figure(what: str, prefilled: int, peer: Peer, target: float | None) -> Figure:
    return Figure(
        bench="interleaved_sessions",
        metric=f"tokens prefilled, {what}",
        unit="tokens",
        value=prefilled,
        peer=peer,
        ratio=prefilled / peer.value,
        target=target,
        on="ratio",
        runs=1,
    )
