"""A host whose engine is killed again and again, at any moment, while clients ask it without a pause."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.proxy.test_host import ASK, Served, served

pytestmark = pytest.mark.slow

KILLS = 20
CLIENTS = 6
NOTICED_S = 5.0  # a machine with other work to do needs a moment; a lost cancel took 180 s
SERVING = ("ready", "busy")


async def ask_on_and_on(host: Served, verdicts: Counter[str], done: asyncio.Event) -> None:
    """One client: each of its requests has to end with exactly one verdict."""
    while not done.is_set():
        verdicts[await verdict(host.client)] += 1


async def verdict(client: httpx.AsyncClient) -> str:
    async with client.stream("POST", "/v1/messages", json=ASK | {"stream": True}) as answer:
        if answer.status_code != 200:
            return f"{answer.status_code} {json.loads(await answer.aread())['error']['type']}"
        lines = [line async for line in answer.aiter_lines()]
    events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    ends = [event for event in events if event in ("message_stop", "error")]
    assert ends == events[-1:], events
    return str(ends[0])


async def until_serving(host: Served) -> dict[str, Any]:
    reader = 0
    while True:
        state = (await host.client.get("/anyclaude/state")).json()
        if state["engine"]["state"] in SERVING:
            return dict(state["engine"])
        told = await host.events(
            lambda event: event["type"] == "engine.state", params={"since": str(max(reader, state["seq"]))}
        )
        reader = told[-1]["seq"]


async def kill_once(host: Served, pid: int, chance: random.Random) -> float:
    """Kill it, and bring it up again by hand as soon as the host has noticed; the seconds that this took."""
    await asyncio.sleep(chance.uniform(0, 0.02))  # not a wait: any moment is as good
    seq = (await host.state()).seq
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    await host.events(
        lambda event: event["type"] == "engine.state" and event["data"]["state"] == "exited",
        params={"since": str(seq)},
    )
    noticed = time.monotonic() - began
    assert (await host.client.get("/health/ready")).status_code == 503
    assert (await host.client.post("/anyclaude/engine/restart")).status_code == 202
    return noticed


async def test_every_death_is_noticed_at_once_and_every_request_gets_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that the watch waits for requests nearly all the time, and many a death comes beside one.
    monkeypatch.setattr("proxy.supervision.watch._CLOSEST_PROBES_S", 0.002)
    chance = random.Random(7)
    verdicts: Counter[str] = Counter()
    done = asyncio.Event()
    async with served(tmp_path, trace=False) as host:
        await host.until_engine("ready")
        clients = [asyncio.create_task(ask_on_and_on(host, verdicts, done)) for _ in range(CLIENTS)]
        noticed = []
        for _ in range(KILLS):
            engine = await until_serving(host)
            noticed.append(await kill_once(host, engine["pid"], chance))
        await until_serving(host)
        assert (await host.client.get("/health/ready")).status_code == 200
        done.set()
        await asyncio.gather(*clients)
        assert (await host.state()).engine.restarts <= KILLS
    assert max(noticed) < NOTICED_S, noticed
    assert verdicts["message_stop"]
    assert set(verdicts) <= {"message_stop", "error", "529 overloaded_error"}
