"""The client's side of one request, on bare ASGI: its body in, its reply out, and its leaving noticed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Scope, Send

from engine.wire.json_text import encode_json
from proxy.events.errors import ProxyError, RequestCancelled, RequestTooLarge, error_body
from proxy.events.types import ErrorInfo
from proxy.supervision.task_end import end_tasks
from proxy.translate.event_bytes import PING, event

if TYPE_CHECKING:
    from proxy.record.recorder import RequestRecord

CANCELLED = "you cancelled this request in anyclaude-tui; what you say next goes on from here"
DRAINED_BYTES = 16 * 2**20  # of a body that is too large anyway, read on so that its sender gets the error


class ClientLeft(Exception):
    """Raised when the client closes its connection before it has its answer."""


def new_request_id() -> str:
    """An id for a request that gets no record."""
    return f"req_{uuid.uuid4().hex[:24]}"


def headers_of(scope: Scope) -> dict[str, str]:
    """The request's headers, names in lower case; of repeated ones the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole request body.

    Raises:
        RequestTooLarge: it is, or says that it is, longer than `limit` bytes.
        ClientLeft: the connection closed before its end.
    """
    announced = headers_of(scope).get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        await _drain(receive)
        raise RequestTooLarge(f"the request body has {announced} bytes; at most {limit} are taken")
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece = message.get("body", b"")
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            await _drain(receive)
            raise RequestTooLarge(f"the request body has more than {limit} bytes")
        if not message.get("more_body"):
            return b"".join(pieces)


async def _drain(receive: Receive) -> None:
    """Read on for a while: a client that is still sending would see a reset instead of the answer."""
    rest = DRAINED_BYTES
    while rest > 0:
        message = await receive()
        rest -= len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


async def send_json(
    send: Send, status: int, body: Any, request_id: str, headers: Mapping[str, str] | None = None
) -> None:
    """A whole reply."""
    data = encode_json(body)
    fields = {
        "content-type": "application/json",
        "content-length": str(len(data)),
        "request-id": request_id,
        **(headers or {}),
    }
    await send({"type": "http.response.start", "status": status, "headers": encoded_headers(fields)})
    await send({"type": "http.response.body", "body": data})


async def send_error(send: Send, error: ProxyError, request_id: str) -> None:
    """A reply in Anthropic's error form."""
    await send_json(
        send, error.status, error_body(error.info, request_id, error.details), request_id, error.headers
    )


def encoded_headers(fields: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]


async def run_while_connected(
    receive: Receive, work: Coroutine[Any, Any, None], record: RequestRecord | None = None
) -> None:
    """Run `work`; cancel it when the client leaves, or when a person cancels the request of `record`.

    Raises:
        ClientLeft: it did, and the work has ended.
        RequestCancelled: a person did, and the work has ended.
    """
    if record is not None and record.cancel_asked.is_set():
        work.close()
        raise RequestCancelled(CANCELLED)
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_until_disconnect(receive))
    asked = asyncio.ensure_future(_until_cancelled(record))
    try:
        await asyncio.wait((task, leaving, asked), return_when=asyncio.FIRST_COMPLETED)
        if asked.done() and record is not None and record.has_ended:  # the answer was complete just before
            await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return await task
        await end_tasks(task)
        if task.done() and not task.cancelled() and task.exception() is None:
            return None  # it was done at the same moment
        raise ClientLeft if leaving.done() else RequestCancelled(CANCELLED)
    finally:
        leaving.cancel()
        asked.cancel()
        if not task.done():  # this very task is cancelled: the server is ending
            await end_tasks(task)


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _until_cancelled(record: RequestRecord | None) -> None:
    if record is None:
        await asyncio.get_running_loop().create_future()  # what has no record cannot be named
    else:
        await record.cancel_asked.wait()


class EventStream:
    """A reply of server-sent events: its headers go with the first bytes, pings fill its silences."""

    def __init__(self, send: Send, request_id: str, on_first_byte: Callable[[], None]) -> None:
        self.started = False
        self._send = send
        self._request_id = request_id
        self._on_first_byte = on_first_byte
        self._clock = asyncio.get_running_loop().time
        self._last_write = self._clock()
        self._writing = asyncio.Lock()

    async def write(self, data: bytes) -> None:
        """Send whole events."""
        async with self._writing:
            if not self.started:
                await self._start()
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self._last_write = self._clock()

    async def end(self, data: bytes = b"") -> None:
        """Send the last events and end the reply."""
        async with self._writing:
            if not self.started:
                await self._start()
            await self._send({"type": "http.response.body", "body": data})

    async def fail(self, error: ErrorInfo) -> None:
        """End with an `error` event: the client then knows that no `message_stop` will come."""
        data = error_body(error, self._request_id)
        del data["type"]
        await self.end(event("error", data))

    async def keep_alive(self, interval_s: float) -> None:
        """Send a ping whenever nothing was sent for `interval_s` seconds; runs until it is cancelled."""
        while True:
            rest = self._last_write + interval_s - self._clock()
            if rest > 0:
                await asyncio.sleep(rest)
            else:
                await self.write(PING)

    async def _start(self) -> None:
        fields = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
            "request-id": self._request_id,
        }
        await self._send({"type": "http.response.start", "status": 200, "headers": encoded_headers(fields)})
        self.started = True
        self._on_first_byte()


Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]
