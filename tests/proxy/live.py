"""Real servers inside the test's own event loop: the proxy's application, and an upstream that plays."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.api.server import create_app
from proxy.backends.claude import ClaudeBackend
from proxy.backends.mlx import MlxBackend
from proxy.backends.openai import OpenAIBackend
from proxy.configuration.settled import HostConfig
from proxy.events.bus import EventBus
from proxy.events.errors import UpstreamError
from proxy.events.types import Event, EventData
from proxy.record.recorder import Recorder
from proxy.traces.schema import Trace
from proxy.traces.writing import TraceStore

_GRACE_S = 0.2  # for open answers when a server ends
BREAK = object()  # in an answer: the connection is cut here
FINISH: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}
DONE = b"data: [DONE]\n\n"


def delta(**fields: Any) -> dict[str, Any]:
    """A chunk that adds to the answer."""
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def says(*texts: str) -> list[Any]:
    """A whole answer of these pieces."""
    return [*(delta(content=text) for text in texts), FINISH, USAGE, DONE]


def calls(name: str, arguments: str, **call: Any) -> dict[str, Any]:
    """A chunk with one whole tool call."""
    return delta(tool_calls=[{"index": 0, "function": {"name": name, "arguments": arguments}, **call}])


@dataclass
class Upstream:
    """Plays one answer to all chat completions: chunks, raw bytes, events to wait for, `BREAK`.

    With `status` other than 200 the answer is a JSON body.
    """

    answer: list[Any] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "text/event-stream"
    other: dict[str, Any] = field(default_factory=dict)  # JSON answers to other paths
    bodies: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)  # method, path, headers, raw
    arrivals: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))  # one a request
    left: asyncio.Event = field(default_factory=asyncio.Event)  # the client closed its connection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = b""
        while True:
            message = await receive()
            raw += message.get("body", b"")
            if not message.get("more_body"):
                break
        target = scope["raw_path"].decode() + ("?" + scope["query_string"].decode()).rstrip("?")
        self.requests.append(
            {"method": scope["method"], "path": target, "headers": scope["headers"], "raw": raw}
        )
        if scope["path"] in self.other:
            await _send_json(send, 200, self.other[scope["path"]])
            return
        if scope["path"] not in ("/v1/chat/completions", "/v1/messages"):
            await _send_json(send, 404, {"error": {"message": "no such path"}})
            return
        self.bodies.append(orjson.loads(raw) if raw else {})
        self.arrivals.release()
        if self.status != 200:
            await _send_json(send, self.status, self.answer[0], self.headers)
            return
        playing = asyncio.create_task(self._play(send))
        watching = asyncio.create_task(self._watch(receive))
        await asyncio.wait((playing, watching), return_when=asyncio.FIRST_COMPLETED)
        watching.cancel()
        if playing.done():
            await playing
        else:
            playing.cancel()

    async def _play(self, send: Send) -> None:
        headers = {"content-type": self.content_type, **self.headers}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        for item in self.answer:
            if item is BREAK:
                raise ConnectionAbortedError("the test cuts the connection here")
            if isinstance(item, asyncio.Event):
                await item.wait()
                continue
            data = item if isinstance(item, bytes) else b"data: " + orjson.dumps(item) + b"\n\n"
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.enough = asyncio.Event()

    async def main_loop(self) -> None:
        await self.enough.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End as uvicorn does, which however sleeps 0.1 s first and then looks each 0.1 s what is left."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if tasks := set(self.server_state.tasks):
            _, late = await asyncio.wait(tasks, timeout=_GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.wait(tasks)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the test's process keeps its own


@asynccontextmanager
async def serve(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an application on an ephemeral port; yields its URL without a path."""
    # asyncio sends small pieces at once only on sockets that say that they are TCP; else some wait for 40 ms.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        settings = uvicorn.Config(app, log_level="critical", lifespan="off")
        server = _Server(settings)
        listening = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await server.ready.wait()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.enough.set()
            await listening


@dataclass
class Proxy:
    """A proxy that runs, and what it has recorded."""

    url: str
    http: httpx.AsyncClient
    bus: EventBus
    traces_folder: Path
    recorder: Recorder
    events: list[Event] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The data of all events of a type."""
        return [event.data for event in self.events if event.type == kind]

    def traces(self) -> list[Trace]:
        files = sorted(self.traces_folder.glob("*/*.json"))
        return [Trace.model_validate_json(file.read_bytes()) for file in files]

    async def until(self, kind: str) -> dict[str, Any]:
        """Wait for an event of a type; returns its data."""
        async with asyncio.timeout(20):
            while not self.told(kind):
                self.news.clear()
                await self.news.wait()
        return self.told(kind)[0]


@asynccontextmanager
async def proxy(
    folder: Path,
    backend: Any,
    *,
    gate: UpstreamError | None = None,
    gates: Iterator[UpstreamError | None] | None = None,
    config: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[Proxy]:
    """The proxy's application over `backend`, with a recorder that writes into `folder`.

    The engine is asked for more than once: `gates` has an answer for each time.
    """
    bus = EventBus()
    events: list[Event] = []
    news = asyncio.Event()

    def listen(kind: str, request: str | None, data: EventData) -> None:
        events.append(Event(seq=0, time=0.0, type=kind, request=request, data=data.model_dump()))
        news.set()

    bus.listen(listen)
    store = TraceStore(folder / "traces", notice=print)
    recorder = Recorder(bus, store)
    settings = HostConfig(home=folder, backend_name=backend.name, **(config or {}))
    app = create_app(settings, backend, recorder, lambda: gate if gates is None else next(gates), **options)
    try:
        async with serve(app) as url, httpx.AsyncClient(base_url=url, timeout=20, trust_env=False) as http:
            yield Proxy(url, http, bus, folder / "traces", recorder, events, news)
    finally:
        await backend.close()
        await recorder.close()


@asynccontextmanager
async def proxy_over(
    upstream: Upstream, folder: Path, *, kind: str = "openai", **options: Any
) -> AsyncIterator[Proxy]:
    """A proxy in front of a playing upstream."""
    async with serve(upstream) as url:
        backends: dict[str, Callable[[], Any]] = {
            "mlx": lambda: MlxBackend(f"{url}/v1", lambda: "tiny"),
            "openai": lambda: OpenAIBackend(f"{url}/v1", "tiny"),
            "claude": lambda: ClaudeBackend(url),
        }
        async with proxy(folder, backends[kind](), **options) as running:
            yield running


@contextmanager
def proxy_in_a_thread(upstream: Upstream, folder: Path) -> Iterator[str]:
    """The URL of a proxy whose loop has a thread of its own, for clients that block."""
    ready: queue.Queue[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = queue.Queue()

    async def run() -> None:
        enough = asyncio.Event()
        async with proxy_over(upstream, folder) as running:
            ready.put((running.url, asyncio.get_running_loop(), enough))
            await enough.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    url, loop, enough = ready.get(timeout=20)
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(enough.set)
        thread.join(20)


async def _send_json(send: Send, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    fields = {"content-type": "application/json", **(headers or {})}
    encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": orjson.dumps(body)})


def sse(text: str) -> list[dict[str, Any]]:
    """The events of a stream, and a check that each names its own type."""
    events = []
    for block in text.strip().split("\n\n"):
        head, data = block.split("\n")
        parsed = orjson.loads(data.removeprefix("data: "))
        assert head == f"event: {parsed['type']}"
        events.append(parsed)
    return events


def body(**fields: Any) -> dict[str, Any]:
    """The least body of `POST /v1/messages`, with what the test adds."""
    return {
        "model": "claude-test",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hello"}],
        **fields,
    }
