"""A host that does what a test tells it: the state and the feed of the host API, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bench.scripted_upstream import serving
from proxy.events.health_types import LogEntry
from proxy.events.totals import Totals
from proxy.events.types import EngineState, HostState


class ScriptedHost:
    """Holds events and hands them to whoever follows; its methods may be called from any thread."""

    def __init__(
        self, *, backend: str = "mlx", engine: str = "ready", token: str = "", auto_mode: str = ""
    ) -> None:
        self.url = ""
        self.token = token
        self.backend = backend
        self.auto_mode = auto_mode
        self.model = "/models/Tiny"
        self.loads: list[str] = []
        self.engine: dict[str, Any] = {"state": engine}
        self.started = 1000.0
        self.pid = 4242
        self.engine_log: list[str] = []
        self.log: list[LogEntry] = []
        self.events: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []  # events from before
        self.followers = 0
        self.can_stop = False  # as hosts of earlier versions
        self.asked_to_stop = threading.Event()
        self.cache: dict[str, Any] = {}  # what the prefix cache holds
        self.cache_missing = False  # as while the engine starts
        self.cache_done: dict[str, Any] = {}  # the answer to each change of it
        self.cache_refusal = ""
        self.cache_asked: list[str] = []
        self._lock = threading.Lock()
        self._streams: dict[asyncio.Queue[str | None], asyncio.AbstractEventLoop] = {}
        self._changed = threading.Condition()
        self.app = Starlette(
            routes=[
                Route("/anyclaude/state", self._state),
                Route("/anyclaude/events", self._events),
                Route("/anyclaude/history", self._history),
                Route("/anyclaude/stop", self._stop, methods=["POST"]),
                Route("/anyclaude/cache", self._cache),
                Route("/anyclaude/cache/{action:path}", self._change_cache, methods=["POST"]),
            ]
        )

    def emit(self, type_: str, data: dict[str, Any] | None = None, request: str | None = None) -> None:
        """One more event."""
        with self._lock:
            event: dict[str, Any] = {
                "seq": len(self.events) + 1,
                "time": 1.0,
                "type": type_,
                "request": request,
                "data": data or {},
            }
            self.events.append(event)
            self._send(_sse(event))

    def engine_is(self, state: str, **fields: Any) -> None:
        """The engine changes its state."""
        self.engine = {"state": state, **fields}
        self.emit("engine.state", self.engine)

    def break_off(self) -> None:
        """End every stream."""
        with self._lock:
            self._send(None)

    def begin_anew(self) -> None:
        """As if the host had been started again: another process, no events."""
        with self._lock:
            self.pid, self.events = self.pid + 1, []
            self._send(None)

    def wait_for_followers(self, count: int) -> None:
        """Until so many streams have been opened in all."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.followers >= count, timeout=20)

    def _send(self, text: str | None) -> None:
        for queue, loop in self._streams.items():
            loop.call_soon_threadsafe(queue.put_nowait, text)

    def _refused(self, request: Request) -> Response | None:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({"error": {"message": "token"}}, status_code=401)
        return None

    async def _state(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        state = HostState(
            version="1",
            pid=self.pid,
            started=self.started,
            url=self.url,
            backend=self.backend,
            auto_mode=self.auto_mode,
            model=self.model,
            loads=self.loads,
            home="/home",
            seq=len(self.events),
            first_seq=1,
            counters=Totals(),
            engine=EngineState.model_validate(self.engine),
            engine_log=self.engine_log,
            log=self.log,
        )
        return JSONResponse(state.model_dump(mode="json"))

    async def _history(self, request: Request) -> Response:
        most = int(request.query_params.get("limit", 100))
        return self._refused(request) or JSONResponse({"events": self.history[-most:]})

    async def _stop(self, request: Request) -> Response:
        if not self.can_stop:
            return JSONResponse({}, 404)
        self.asked_to_stop.set()
        return self._refused(request) or JSONResponse({"stopping": True, "running": 0}, 202)

    async def _cache(self, request: Request) -> Response:
        if self.cache_missing:
            return JSONResponse({"error": {"message": "the engine is starting"}}, 529)
        return self._refused(request) or JSONResponse(self.cache)

    async def _change_cache(self, request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        self.cache_asked.append(request.path_params["action"] + query)
        if self.cache_refusal:
            return JSONResponse({"error": {"message": self.cache_refusal}}, 400)
        return self._refused(request) or JSONResponse(self.cache_done)

    async def _events(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        since = int(request.query_params.get("since", "0"))
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        with self._lock:
            held = [_sse(event) for event in self.events if event["seq"] > since]
            self._streams[queue] = asyncio.get_running_loop()
        with self._changed:
            self.followers += 1
            self._changed.notify_all()

        async def stream() -> AsyncIterator[str]:
            yield ": hello\n\n"
            for text in held:
                yield text
            try:
                while (text_or_end := await queue.get()) is not None:
                    yield text_or_end
            finally:
                with self._lock:  # another thread may be sending
                    self._streams.pop(queue, None)

        return StreamingResponse(stream(), media_type="text/event-stream")


def _sse(event: dict[str, Any]) -> str:
    return f"id: {event['seq']}\ndata: {json.dumps(event)}\n\n"


@contextmanager
def scripted_host(**fields: Any) -> Iterator[ScriptedHost]:
    """One that listens for as long as the block lasts."""
    host = ScriptedHost(**fields)
    with serving(host.app) as url:
        host.url = url.removesuffix("/v1")
        try:
            yield host
        finally:
            host.break_off()
