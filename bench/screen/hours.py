"""Eight hours of a host's events in a screen without a terminal: what it holds before and after."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from proxy.events.totals import Totals
from proxy.events.types import EngineState, Event, HostState
from tui.client.records import Link
from tui.screen.app import ControlCenter

HOURS, REQUESTS_AN_HOUR, DELTAS = 8, 250, 20
_START = 1_790_000_000.0
_EVERY = 50  # events between frames
_WORDS = "The export command reads the ledger and writes what it finds there. "


async def play(held: Callable[[], float], hours: int = HOURS) -> dict[str, float]:
    """Bytes held after the first hour and after the last one."""
    now = _START
    app = ControlCenter(clock=lambda: now)
    marks: list[float] = []
    async with app.run_test(size=(120, 40)) as pilot:
        app.inbox.put(_host())
        app.inbox.put(Link("live", "", now))
        for number, event in enumerate(_events(hours * REQUESTS_AN_HOUR)):
            now = event.time
            app.inbox.put(event)
            if number % _EVERY == 0:
                app.frame()
            if number % (50 * _EVERY) == 0:
                await pilot.press("123451"[number // (50 * _EVERY) % 6])
            if not marks and now - _START > 3600:
                marks.append(held())
        await pilot.pause()
        marks.append(held())
    return {"first": marks[0], "last": marks[-1], "events": float(number)}


def _host() -> HostState:
    engine = EngineState(state="busy", context_tokens=262_144, model="made/Up-30B-4bit")
    return HostState(
        version="1",
        pid=os.getpid(),
        started=_START,
        url="http://127.0.0.1:8082",
        backend="mlx",
        model="made/Up-30B-4bit",
        home="/home",
        seq=0,
        first_seq=1,
        counters=Totals(),
        engine=engine,
        runs_engine=True,
    )


def _events(requests: int) -> Iterator[Event]:
    seq, step = 0, 3600 / REQUESTS_AN_HOUR / (DELTAS + 5)
    now = _START

    def event(type_: str, request: str | None, /, **data: Any) -> Event:
        nonlocal seq, now
        seq, now = seq + 1, now + step
        return Event(seq=seq, time=now, type=type_, request=request, data=data)

    for number in range(requests):
        key, session = f"req_{number:06d}", f"{number // 40:032x}"
        prompt = 12_000 + 200 * (number % 40)
        usage = {"input_tokens": 24, "cache_creation_input_tokens": 900, "cache_read_input_tokens": prompt}
        cache = {
            "prompt_tokens": prompt + 924,
            "matched_tokens": prompt,
            "kept_tokens": 900,
            "tier": "memory",
        }
        made = {"tool_use_id": f"toolu_{number}", "name": "Bash", "session": session}
        yield event("request.received", key, session=session, model="m", preview=f"question {number}")
        yield event("request.first_token", key, ttft_s=0.4, usage=usage, cache=cache)
        for delta in range(1, DELTAS + 1):
            yield event("request.delta", key, text=_WORDS, output_tokens=15 * delta, tokens_per_s=60.0)
        yield event("request.tool_call", key, **made, input={"command": f"pytest {number}"}, verdict="valid")
        finished = {"usage": usage | {"output_tokens": 15 * DELTAS}, "cache": cache, "tokens_per_s": 60.0}
        yield event("request.finished", key, stop_reason="tool_use", **finished, trace=f"mlx/{key}.json")
        yield event("request.tool_result", key, **made, call_request=key, duration_s=0.4, preview="12 passed")
        if number % 2 == 0:
            yield event("engine.state", None, state="busy", context_tokens=262_144, memory_bytes=10**10)
            yield event("engine.log", None, line=f"answered {key}")
