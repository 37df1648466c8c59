"""A host for the screen's bench: the state and the feed of the host API, with answers at a steady speed.

    python -m bench.screen.feed     settings on stdin: {"streams": 8, "tokens_per_s": 100, …}

Its answers are made up: prose, a tool call at the end of each, a new request in its place. As a real host
does (docs/events.md), it gathers deltas at 20 Hz and tells the engine's state twice a second. `POST /pause`
and `POST /resume` stop and start the answers, for what is measured at rest.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bench.claude_request import prose
from engine.process.parent_watch import announce, read_settings, watch_parent
from proxy.events.totals import Totals
from proxy.events.types import EngineState, HostState

DELTA_S, STATE_S = 0.05, 0.5
PROMPT, RESTORED = 24_000, 22_400
_CHARACTERS = 4  # of a token
_HELD = 2_000  # events

SseEvent = dict[str, Any]


class AnsweringHost:
    """Some requests at once, each of which is followed by another."""

    def __init__(self, streams: int, tokens_per_s: float, turn_tokens: int) -> None:
        self.url = ""
        self._streams, self._tokens_per_s, self._turn_tokens = streams, tokens_per_s, turn_tokens
        self._started = time.time()
        self._seq = 0
        self._held: deque[tuple[int, bytes]] = deque(maxlen=_HELD)
        self._readers: set[asyncio.Queue[bytes]] = set()
        self._random = random.Random(7)
        self._text = prose(400_000, seed=7)
        self._numbers = itertools.count(1)
        self._running = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/anyclaude/state", self._state),
                Route("/anyclaude/events", self._events),
                Route("/anyclaude/history", lambda request: JSONResponse({"events": []})),
                Route("/anyclaude/traces", lambda request: JSONResponse({"traces": [], "total": 0})),
                Route("/pause", self._pause, methods=["POST"]),
                Route("/resume", self._resume, methods=["POST"]),
            ]
        )

    async def answer(self) -> None:
        """Answer until cancelled."""
        self._running.set()
        await asyncio.gather(self._engine(), *(self._stream(place) for place in range(self._streams)))

    async def _stream(self, place: int) -> None:
        loop = asyncio.get_running_loop()
        next_at = loop.time() + place * DELTA_S / self._streams
        session = f"{self._random.getrandbits(128):032x}"
        step = max(1, round(self._tokens_per_s * DELTA_S))
        while True:
            key = self._begin(session)
            first = True
            for written in range(step, self._turn_tokens + 1, step):
                await asyncio.sleep(max(0.0, next_at - loop.time()))
                next_at = max(next_at + DELTA_S, loop.time() - 1.0)
                if not self._running.is_set():
                    await self._running.wait()
                    next_at = loop.time()
                if first:
                    self._first_token(key)
                    first = False
                self._emit("request.delta", key, **self._delta(place, written, step))
            self._end(key, session)

    def _delta(self, place: int, written: int, step: int) -> dict[str, Any]:
        at = (place * 40_000 + written * _CHARACTERS) % (len(self._text) - 1_000)
        speed = self._tokens_per_s * self._random.uniform(0.97, 1.03)
        text = self._text[at : at + step * _CHARACTERS]
        return {
            "kind": "text",
            "text": text,
            "output_tokens": written,
            "tokens_per_s": round(speed, 1),
        }

    def _begin(self, session: str) -> str:
        key = f"req_{next(self._numbers):06d}"
        self._emit(
            "request.received",
            key,
            session=session,
            lane="main",
            model="claude-sonnet-4-5",
            backend="mlx",
            path="/v1/messages",
            messages=9,
            tools=17,
            body_bytes=PROMPT * 4,
            preview="Add --json to the export command",
        )
        return key

    def _usage(self, output: int) -> dict[str, int]:
        return {
            "input_tokens": 24,
            "cache_creation_input_tokens": PROMPT - RESTORED - 24,
            "cache_read_input_tokens": RESTORED,
            "output_tokens": output,
        }

    def _cache(self) -> dict[str, Any]:
        return {
            "prompt_tokens": PROMPT,
            "matched_tokens": RESTORED,
            "kept_tokens": PROMPT - RESTORED - 24,
            "tier": "memory",
        }

    def _first_token(self, key: str) -> None:
        self._emit("request.first_token", key, ttft_s=0.4, usage=self._usage(0), cache=self._cache())

    def _end(self, key: str, session: str) -> None:
        call = f"toolu_{key}"
        command = {"command": f"pytest -q tests/test_{key}.py", "description": "Run one module's tests"}
        made = {"tool_use_id": call, "name": "Bash", "session": session}
        self._emit(
            "request.tool_call", key, **made, input=command, raw="{}", verdict="valid", constrained=True
        )
        self._emit(
            "request.finished",
            key,
            stop_reason="tool_use",
            usage=self._usage(self._turn_tokens),
            timings={"received": time.time() - self._turn_tokens / self._tokens_per_s, "first_token": 0.4},
            cache=self._cache(),
            tokens_per_s=self._tokens_per_s,
            trace=f"mlx/{key}.json",
        )
        took = {"call_request": key, "duration_s": 0.4, "result_bytes": 900, "preview": "12 passed in 0.31s"}
        self._emit("request.tool_result", key, **made, **took)

    async def _engine(self) -> None:
        while True:
            if self._running.is_set():
                self._emit("engine.state", None, **self._engine_state())
            await asyncio.sleep(STATE_S)

    def _engine_state(self) -> dict[str, Any]:
        return {
            "state": "busy",
            "since": self._started,
            "pid": os.getpid(),
            "started": self._started,
            "url": "http://127.0.0.1:8081",
            "model": "made/Up-30B-4bit",
            "memory_bytes": 18_900_000_000 + self._random.randrange(100_000_000),
            "running": self._streams,
            "context_tokens": 262_144,
            "probe": {"ok": True, "latency_s": 0.003},
            "cache": {"entries": 8, "bytes": 6_000_000_000, "budget_bytes": 8_000_000_000},
            "memory": {"limit_bytes": 24_000_000_000, "weights_bytes": 12_000_000_000},
        }

    # -- the host API ---------------------------------------------------------------------------------------

    def _emit(self, type_: str, request: str | None, /, **data: Any) -> None:
        self._seq += 1
        event = {"seq": self._seq, "time": time.time(), "type": type_, "request": request, "data": data}
        told = f"id: {self._seq}\nevent: {type_}\ndata: ".encode() + orjson.dumps(event) + b"\n\n"
        self._held.append((self._seq, told))
        for reader in self._readers:
            reader.put_nowait(told)

    async def _state(self, request: Request) -> Response:
        state = HostState(
            version="1",
            pid=os.getpid(),
            started=self._started,
            url=self.url,
            backend="mlx",
            model="made/Up-30B-4bit",
            home="/home",
            seq=self._seq,
            first_seq=self._held[0][0] if self._held else 1,
            counters=Totals(),
            engine=EngineState.model_validate(self._engine_state()),
            runs_engine=True,
        )
        return JSONResponse(state.model_dump(mode="json"))

    async def _events(self, request: Request) -> Response:
        since = int(request.query_params.get("since", "0"))
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        for seq, told in self._held:
            if seq > since:
                queue.put_nowait(told)
        self._readers.add(queue)

        async def stream() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield await queue.get()
            finally:
                self._readers.discard(queue)

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def _pause(self, request: Request) -> Response:
        self._running.clear()
        return JSONResponse({})

    async def _resume(self, request: Request) -> Response:
        self._running.set()
        return JSONResponse({})


async def _main() -> None:
    settings = read_settings()
    host = AnsweringHost(
        int(settings["streams"]), float(settings["tokens_per_s"]), int(settings["turn_tokens"])
    )
    listener = socket.create_server(("127.0.0.1", 0))
    host.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(host.app, log_config=None, timeout_graceful_shutdown=1))
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.call_soon_threadsafe(setattr, server, "should_exit", True)

    watch_parent(end)
    answers = loop.create_task(host.answer())
    announce(listening=host.url)
    await server.serve([listener])
    answers.cancel()
    with suppress(asyncio.CancelledError):
        await answers


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
