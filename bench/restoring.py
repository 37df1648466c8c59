"""What the turn after a SIGKILL of the engine prefills, beside the same turn without the kill.

A session of the real Claude Code is recorded on the spot and sent up to its middle. What the engine has
computed reaches the disk, the engine is killed, the proxy starts it again, and the next turn is sent. System
and tools are written at once, so they are restored also where the engine is killed right behind the first
answer of its life. Another conversation has the engine's own answers as its history.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.child import poll
from bench.derived_traffic import session_with, sessions_of
from bench.figure import Figure, Peer
from bench.own_answers import Conversation
from bench.prefill_floor import common
from bench.recorded_traffic import ClientMissing, Recorded, record
from bench.replay import TIMEOUT_S, Host, running_host, wait_until_saved
from bench.scratch_project import AGENTIC

TARGET = 1.05
ARCHITECTURES = ("qwen3", "gemma3_text", "qwen3_5")
_TURN, _QUICK_TURN = 5, 2  # the turn that is sent behind the kill, counted from 0
_OWN_TURNS, _QUICK_OWN_TURNS = 5, 2  # with own answers, before the kill
_HEAD_SHARE = 0.99  # their length is known but for the mark that begins the user's turn


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Figures for each kind of cache; only those with own answers where the real client is not installed."""
    architectures = ARCHITECTURES[:1] if quick else ARCHITECTURES
    turns = _QUICK_OWN_TURNS if quick else _OWN_TURNS
    own = [_own_answers(folder / f"own-{kind}", kind, turns) for kind in architectures]
    try:
        recorded = record(folder, prompts=(f"Please {AGENTIC}.",))
    except ClientMissing as missing:
        print(f"restoring: {missing}", file=sys.stderr)
        return own
    turn = _QUICK_TURN if quick else _TURN
    session, other = sessions_of(session_with(recorded, AGENTIC)[: turn + 1], AGENTIC, 2)
    figures: list[Figure] = []
    for architecture in architectures:
        figures += _figures(folder / architecture, architecture, session, other[0])
    return [*figures, *own]


def _own_answers(folder: Path, architecture: Any, turns: int) -> Figure:
    from bench.random_model import build_random_model

    folder.mkdir()
    model = build_random_model(folder / "model", architecture, eos_every=None)
    with running_host(folder / "unkilled", model) as host:
        conversation = Conversation(host)
        conversation.turns(turns)
        unkilled = conversation.turn_prefills()
    with running_host(folder / "killed", model) as host:
        conversation = Conversation(host)
        conversation.turns(turns)
        wait_until_saved(host)
        kill_engine(host)
        killed = conversation.turn_prefills()
    return _behind_a_kill(f"own answers, {architecture}", killed, unkilled)


def _figures(folder: Path, architecture: Any, session: Sequence[Recorded], other: Recorded) -> list[Figure]:
    from bench.random_model import build_random_model

    folder.mkdir()
    model = build_random_model(folder / "model", architecture)
    with running_host(folder / "unkilled", model) as host:
        for request in session[:-1]:
            host.send(request)
        unkilled = prefilled_by(host, session[-1])
    with running_host(folder / "killed", model) as host:
        for request in session[:-1]:
            host.send(request)
        wait_until_saved(host)
        kill_engine(host)
        killed = prefilled_by(host, session[-1])
    with running_host(folder / "at-once", model) as host:
        host.send(session[0])
        kill_engine(host)
        restored = host.send(other)["cache_read_input_tokens"]
        head = _head_length(host)
    return [
        _behind_a_kill(architecture, killed, unkilled),
        Figure(
            bench="restoring",
            metric=f"restored in another session, killed at once, {architecture}",
            unit="tokens",
            value=restored,
            peer=Peer("system and tools", head),
            ratio=restored / head,
            target=_HEAD_SHARE,
            bound="at least",
            on="ratio",
            runs=1,
        ),
    ]


def _behind_a_kill(what: str, killed: int, unkilled: int) -> Figure:
    return Figure(
        bench="restoring",
        metric=f"prefilled behind a kill, {what}",
        unit="tokens",
        value=killed,
        peer=Peer("without the kill", unkilled),
        ratio=killed / unkilled,
        target=TARGET,
        on="ratio",
        runs=1,
    )


def _head_length(host: Host) -> int:
    """Tokens of system and tools: what a prompt shares with one in which the user says something else."""
    body = host.upstream_bodies()[0]
    other = body | {"messages": [body["messages"][0], {"role": "user", "content": "Hello"}]}
    return common(host.tokens(body), host.tokens(other))


def prefilled_by(host: Host, request: Recorded) -> int:
    """Tokens that one request makes the engine prefill."""
    before = host.prefilled()
    host.send(request)
    return host.prefilled() - before


def kill_engine(host: Host) -> None:
    """SIGKILL, and wait until the proxy has the next engine ready."""
    killed = host.state()["pid"]
    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        now = host.state()
        return now["pid"] not in (killed, None) and now["state"] == "ready"

    poll(is_back, timeout_s=TIMEOUT_S, what="the next engine", every_s=0.1)
