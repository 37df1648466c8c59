from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.events.types import Event
from tests.tui.scripted_host import ScriptedHost, scripted_host
from tui.client.host_client import HostClient
from tui.commands.narration import Narrator, listen


def event(type_: str, **data: Any) -> Event:
    return Event(seq=1, time=1.0, type=type_, data=data)


def told(*events: Event) -> list[str]:
    lines: list[str] = []
    narrator = Narrator(lines.append)
    for each in events:
        narrator.apply(each)
    return lines


def state(name: str, **data: Any) -> Event:
    return event("engine.state", state=name, **data)


def test_a_remark_is_printed_once_for_a_ready_engine() -> None:
    lines: list[str] = []
    narrator = Narrator(lines.append, lambda engine: "small" if engine.context_tokens < 9 else "")
    for tokens in (5, 5, 10):
        narrator.apply(state("loading"))
        narrator.apply(state("ready", model="m", context_tokens=tokens))
        narrator.apply(state("busy", model="m", context_tokens=tokens))
    assert [line for line in lines if "small" in line] == ["engine: small"] * 2


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        ([state("starting", detail="pid 5")], ["engine: starting: pid 5"]),
        (
            [state("loading", progress=p) for p in (0.0, 0.04, 0.11, 0.19, 0.95)],
            ["engine: loading 0 %", "engine: loading 10 %", "engine: loading 90 %"],
        ),
        (
            [state("ready", model="m", accelerated="metal", url="http://h:1"), state("busy"), state("ready")],
            ["engine: ready, m, metal, at http://h:1"],
        ),
        (
            [
                state("ready", model="m", notes=["no chat template"]),
                state("busy", notes=["no chat template"]),
            ],
            ["engine: ready, m", "engine: no chat template"],
        ),
        (
            [event("engine.restart", attempt=2, of=5, delay_s=4, reason="exited with signal 9")],
            ["engine: exited with signal 9; restart 2 of 5 in 4 s"],
        ),
        ([event("host.notice", level="warning", text="disk full")], ["warning: disk full"]),
        ([event("host.notice", text="hello")], ["hello"]),
        (
            [
                event("engine.log", line="first"),
                event("engine.log", line="last"),
                state("failed", detail="no"),
            ],
            ["engine: failed: no", "  | first", "  | last"],
        ),
        ([event("request.delta", text="x"), event("later.type"), state("no such state")], []),
    ],
)
def test_host_events_are_printed_once(events: list[Event], lines: list[str]) -> None:
    assert told(*events) == lines


def test_a_start_failure_is_printed_once() -> None:
    lines = told(
        state("loading"),
        event("engine.log", line="INFO engine: listening"),
        event("engine.log", line="no such model"),
        state("exited", detail="no such model"),
        state("failed", detail="no such model"),
    )
    assert lines == [
        "engine: loading",
        "engine: exited: no such model",
        "engine: failed",
        "  | INFO engine: listening",
    ]


def test_the_reason_of_a_restart_is_printed_once() -> None:
    reason = "engine exited with signal 9"
    lines = told(
        event("engine.restart", attempt=1, of=5, delay_s=1.0, reason=reason),
        state("restarting", detail=f"{reason}; restart 1 of 5 in 1 s"),
        state("starting"),
        state("exited", detail=f"{reason}; restart 1 of 5 in 1 s"),
    )
    assert lines == [
        f"engine: {reason}; restart 1 of 5 in 1 s",
        "engine: restarting",
        "engine: starting",
        f"engine: exited: {reason}; restart 1 of 5 in 1 s",
    ]


def test_a_failure_after_it_was_ready_says_what_clients_get() -> None:
    assert "clients get errors" in told(state("ready"), state("failed"))[-1]


async def heard(host: ScriptedHost, until: str) -> list[str]:
    """Listen until a line says `until`."""
    lines: list[str] = []
    news = asyncio.Event()
    client = HostClient(host.url)
    task = asyncio.create_task(listen(client, Narrator(lines.append), news.set))
    try:
        while not any(until in line for line in lines):
            async with asyncio.timeout(10):
                await news.wait()
            news.clear()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()
    return lines


async def test_it_begins_with_the_hosts_own_account() -> None:
    with scripted_host(engine="loading") as host:
        host.engine["progress"] = 0.5
        assert await heard(host, "loading") == ["engine: loading 50 %"]


async def test_a_break_of_the_connection_is_gone_over() -> None:
    with scripted_host(engine="loading") as host:
        listening = asyncio.create_task(heard(host, "ready"))
        await asyncio.to_thread(host.wait_for_followers, 1)
        host.break_off()
        host.engine = {"state": "ready", "model": "m"}
        assert await listening == ["engine: loading", "engine: ready, m"]
