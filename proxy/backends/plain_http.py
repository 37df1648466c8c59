"""HTTP/1.1 without TLS for streams of many small chunks, as a transport of httpx.

A model server sends a chunk a token. httpx's own transport parses them one by one in Python, which would
use up most of what the proxy may add to a token (`make bench`); this one parses with httptools and hands on
everything that has arrived at once. One connection a request: none can be stale, and closing it is how the
server learns that nobody listens any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, cast

import httptools
import httpx

_MAX_BUFFERED = 2**20  # bytes read ahead before the server is made to wait


class PlainTransport(httpx.AsyncBaseTransport):
    """Serves `http://` URLs; raises the errors that httpx documents for its own transports.

    Silence is measured by `monotonic`, which on macOS stands while the machine sleeps. The loop's own clock
    runs on there: an answer that was open when the lid was shut would end on waking, before it is read.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        timeouts = request.extensions.get("timeout", {})
        connection = await _connect(request.url, timeouts.get("connect"), self._monotonic)
        try:
            connection.send(_request_bytes(request, await request.aread()), timeouts.get("read"))
            await connection.wait_for_head()
        except BaseException:
            connection.close()
            raise
        return httpx.Response(
            connection.status,
            headers=connection.headers,
            stream=connection,
            extensions={"http_version": b"HTTP/1.1"},
        )


class _Connection(asyncio.Protocol, httpx.AsyncByteStream):
    """One request and its response; httptools calls the `on_` methods while it parses."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._parser = httptools.HttpResponseParser(self)
        self._loop = asyncio.get_running_loop()
        self._monotonic = monotonic
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._last_byte = 0.0
        self._silence_s = 0.0
        self._waiter: asyncio.Future[None] | None = None
        self._body: list[bytes] = []
        self._buffered = 0
        self._paused = False
        self._head_complete = False
        self._complete = False
        self._lost: httpx.TransportError | None = None

    def send(self, data: bytes, silence_s: float | None) -> None:
        """Send the request; `silence_s` without a byte of the answer then end the connection."""
        assert self._transport is not None
        self._transport.write(data)
        if silence_s is not None:
            self._last_byte = self._monotonic()
            self._silence_s = silence_s
            self._watch = self._loop.call_later(silence_s, self._check_silence)

    def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()

    async def wait_for_head(self) -> None:
        """Wait for status and headers."""
        while not self._head_complete:
            if self._lost is not None:
                raise self._lost
            await self._wait()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The body: each time all of it that has arrived."""
        while True:
            while not self._body:
                if self._complete:
                    return
                if self._lost is not None:
                    raise self._lost
                await self._wait()
            data = b"".join(self._body)
            self._body.clear()
            self._buffered = 0
            if self._paused and self._transport is not None:
                self._paused = False
                self._transport.resume_reading()
            yield data

    async def aclose(self) -> None:
        self.close()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _check_silence(self) -> None:
        """One timer a connection: a deadline set anew for each read would cost more than the read."""
        rest = self._last_byte + self._silence_s - self._monotonic()
        if rest <= 0 and not self._paused:
            self._fail(httpx.ReadTimeout(f"no byte for {self._silence_s:g} s"))
            self.close()
        else:
            self._watch = self._loop.call_later(max(rest, 1.0), self._check_silence)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only

    def data_received(self, data: bytes) -> None:
        self._last_byte = self._monotonic()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(httpx.RemoteProtocolError(f"the answer is not HTTP: {error}"))
            self.close()
            return
        if self._buffered > _MAX_BUFFERED and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._complete:
            return
        if self._head_complete and exc is None and not self._announces_its_end():
            self._complete = True  # the body is all that came until the connection closed
            self._wake()
        elif exc is not None:
            self._fail(httpx.ReadError(str(exc) or type(exc).__name__))
        else:
            self._fail(httpx.RemoteProtocolError("the server closed the connection before its answer ended"))

    def _announces_its_end(self) -> bool:
        names = {name.lower() for name, _ in self.headers}
        return bool(names & {b"content-length", b"transfer-encoding"})

    def _fail(self, error: httpx.TransportError) -> None:
        self._lost = self._lost or error
        self._wake()

    # httptools' side

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self._head_complete = True
        else:  # 1xx: the real one follows
            self.headers = []

    def on_body(self, data: bytes) -> None:
        self._body.append(data)
        self._buffered += len(data)

    def on_message_complete(self) -> None:
        if self._head_complete:
            self._complete = True


async def _connect(url: httpx.URL, timeout_s: float | None, monotonic: Callable[[], float]) -> _Connection:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            made: tuple[Any, _Connection] = await loop.create_connection(
                partial(_Connection, monotonic), url.host, url.port or 80
            )
    except TimeoutError:
        raise httpx.ConnectTimeout(f"no connection within {timeout_s:g} s") from None
    except OSError as error:
        raise httpx.ConnectError(str(error)) from error
    return made[1]


def _request_bytes(request: httpx.Request, body: bytes) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [
        b"%b: %b" % (name, value) for name, value in request.headers.raw if name.lower() != b"connection"
    ]
    return b"\r\n".join(lines) + b"\r\nconnection: close\r\n\r\n" + body
