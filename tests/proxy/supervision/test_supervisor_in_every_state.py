"""Whatever has become of the engine: its end is noticed, a restart by hand works, and so does the end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.events.errors import UpstreamUnavailable
from proxy.events.types import EngineStatus, RequestReceived
from proxy.supervision.process import StopTimeouts
from tests.proxy.supervision.test_supervisor import QUICK, Watched, watched

pytestmark = pytest.mark.slow


async def test_errors_are_retryable_during_a_requested_restart(tmp_path: Path) -> None:
    slowly = replace(QUICK, stop_timeouts=StopTimeouts(closed_s=0.5, terminated_s=0.1))
    async with watched(tmp_path, timing=slowly, behave="stubborn") as engine:
        await engine.until("ready")
        engine.supervisor.restart()
        assert (await engine.until("restarting")).pid == engine.pids()[0]
        error = engine.supervisor.gate()
        assert isinstance(error, UpstreamUnavailable)
        assert "a restart was requested" in error.message
        await engine.until("starting")
        await engine.until("ready")
    assert "exited" not in engine.states()


async def stalled(engine: Watched) -> None:
    engine.report(state="busy", running=1, last_progress_s=500.0)


async def stopped(engine: Watched) -> None:
    os.kill(engine.pids()[0], signal.SIGSTOP)


async def killed(engine: Watched) -> None:
    os.kill(engine.pids()[0], signal.SIGKILL)


async def broken(engine: Watched) -> None:
    """A fault of the supervisor's own."""
    engine.supervisor.board.add_probe = lambda probe: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    engine.bus.publish("request.received", RequestReceived(), "req_1")
    await engine.until("failed")
    del engine.supervisor.board.add_probe  # type: ignore[method-assign]


FATES: list[tuple[EngineStatus, Callable[[Watched], Awaitable[None]] | None, dict[str, Any]]] = [
    ("starting", None, {"behave": "deaf", "first": 1, "then": "well"}),
    ("loading", None, {"loads": True}),
    ("ready", None, {}),
    ("ready", stopped, {}),
    ("stalled", stalled, {}),
    ("restarting", killed, {"delays_s": (600,)}),
    ("failed", killed, {"delays_s": ()}),
    ("failed", None, {"delays_s": (), "behave": "crash", "first": 1, "then": "well"}),
    ("failed", broken, {}),
]


@pytest.mark.parametrize("then", ["restart", "stop"])
@pytest.mark.parametrize(("state", "befalls", "settings"), FATES)
async def test_a_restart_and_a_stop_work_in_every_state(
    tmp_path: Path,
    state: EngineStatus,
    befalls: Callable[[Watched], Awaitable[None]] | None,
    settings: dict[str, Any],
    then: str,
) -> None:
    if settings.pop("loads", False):
        (tmp_path / "health.json").write_text('{"state": "loading"}')
    patient = replace(
        QUICK,
        unresponsive_after=600.0,
        loading_unresponsive_after=600.0,
        stop_timeouts=StopTimeouts(0.3, 0.3),
    )
    async with watched(tmp_path, timing=patient, **settings) as engine:
        if befalls is not None:
            await engine.until("ready")
            await befalls(engine)
        await engine.until(state)
        await engine.until_told("engine.state", lambda data: data["pid"] is not None)
        async with asyncio.timeout(10):
            if then == "restart":
                old = {data["pid"] for data in engine.told("engine.state")}
                engine.report(state="ready")
                engine.supervisor.restart()
                await engine.until_told(
                    "engine.state", lambda data: data["state"] == "ready" and data["pid"] not in old
                )
            await engine.supervisor.stop()
        assert engine.state.state == "stopped"


async def test_an_end_is_noticed_while_a_child_of_the_engine_holds_its_pipes(tmp_path: Path) -> None:
    async with watched(tmp_path, behave="with a child", delays_s=(600,)) as engine:
        await engine.until("ready")
        os.kill(engine.pids()[0], signal.SIGKILL)
        async with asyncio.timeout(5):
            assert "signal 9" in (await engine.until("exited")).detail
        await engine.until("restarting")
