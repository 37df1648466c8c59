"""What the turn after a SIGKILL of the engine prefills, compared with the same turn without the kill.

A session of the real Claude Code is recorded in this run and sent up to its middle. The computed tokens are
saved on disk, the engine is killed, the proxy starts it again, and the next turn is sent. System and tools
are saved at once, so that they are restored even if the engine is killed right after its first answer.
Another conversation has the engine's own answers as its history.
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
_TURN, _QUICK_TURN = 5, 2  # the turn after the kill, counted from 0
_OWN_TURNS, _QUICK_OWN_TURNS = 5, 2  # with own answers, before the kill
_HEAD_SHARE = 0.99  # the length is exact except for the mark that begins the user's turn


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Figures for each kind of cache; without the real client only those with own answers."""
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
        head = _shared_prefix_length(host)
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


def _shared_prefix_length(host: Host) -> int:
    """The tokens of system and tools: what a prompt shares with one with another user text."""
    body = host.upstream_bodies()[0]
    other = body | {"messages": [body["messages"][0], {"role": "user", "content": "Hello"}]}
    return common(host.tokens(body), host.tokens(other))


def prefilled_by(host: Host, request: Recorded) -> int:
    """The tokens that the engine prefills for one request."""
    before = host.prefilled()
    host.send(request)
    return host.prefilled() - before


def kill_engine(host: Host) -> None:
    """Send SIGKILL, and wait until the proxy has the next engine ready."""
    killed = host.state()["pid"]
    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        now = host.state()
        return now["pid"] not in (killed, None) and now["state"] == "ready"

    poll(is_back, timeout_s=TIMEOUT_S, what="the next engine", every_s=0.1)
