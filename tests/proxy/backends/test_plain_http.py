"""The transport against raw sockets: what servers do on the wire, and what must become of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from proxy.backends.plain_http import PlainTransport

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@asynccontextmanager
async def raw_server(*pieces: bytes | asyncio.Event) -> AsyncIterator[str]:
    """A server that reads one request and writes these pieces, waiting for the events among them."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            else:
                writer.write(piece)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@asynccontextmanager
async def client(read_s: float = 20.0) -> AsyncIterator[httpx.AsyncClient]:
    timeout = httpx.Timeout(read_s, connect=5.0)
    async with httpx.AsyncClient(transport=PlainTransport(), timeout=timeout) as http:
        yield http


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    ],
    ids=["length", "chunked", "until the connection closes", "after a continue"],
)
async def test_bodies_of_all_framings_are_read(wire: bytes) -> None:
    async with raw_server(wire) as url, client() as http:
        response = await http.get(url)
    assert (response.status_code, response.content) == (200, b"hello")


async def test_the_request_is_sent_as_httpx_has_it() -> None:
    seen: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.set_result(head + await reader.readexactly(4))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server, client() as http:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/v1/x?q=1"
        response = await http.post(url, content=b"data", headers={"x-mine": "yes"})
    request = await seen
    assert response.status_code == 204
    assert request.startswith(b"POST /v1/x?q=1 HTTP/1.1\r\n")
    assert b"\r\nx-mine: yes\r\n" in request
    assert f"host: 127.0.0.1:{port}".encode() in request.lower()
    assert request.lower().count(b"\r\nconnection:") == 1
    assert request.endswith(b"\r\n\r\ndata")


async def test_what_has_arrived_together_is_read_together() -> None:
    rest = asyncio.Event()
    first = CHUNKED + b"".join(b"1\r\n%d\r\n" % digit for digit in range(9))
    async with (
        raw_server(first, rest, b"1\r\n9\r\n0\r\n\r\n") as url,
        client() as http,
        http.stream("GET", url) as response,
    ):
        reads = []
        async for data in response.aiter_raw():
            reads.append(data)
            rest.set()
    assert reads == [b"012345678", b"9"]


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        CHUNKED + b"5\r\nhel",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",
    ],
    ids=["nothing", "in the head", "in a chunk", "in the body"],
)
async def test_an_answer_that_is_cut_is_an_error(wire: bytes) -> None:
    async with raw_server(wire) as url, client() as http:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await http.get(url)


async def test_an_answer_that_is_no_http_is_an_error() -> None:
    async with raw_server(b"SSH-2.0-OpenSSH\r\n\r\n") as url, client() as http:
        with pytest.raises(httpx.RemoteProtocolError, match="not HTTP"):
            await http.get(url)


async def test_nobody_there_is_a_connect_error() -> None:
    async with raw_server() as url:
        pass
    async with client() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(url)


async def test_a_sleep_of_the_machine_is_no_silence() -> None:
    """macOS: the loop's clock runs on, so that its timer is due; the other stood while the machine slept."""
    checked = asyncio.Event()
    readings = itertools.count()

    def monotonic() -> float:
        if next(readings):  # the first is taken when the request is sent
            checked.set()
        return 0.0

    head = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    timeout = httpx.Timeout(0.05, connect=5.0)
    async with (
        raw_server(checked, head + b"hello") as url,
        httpx.AsyncClient(transport=PlainTransport(monotonic), timeout=timeout) as http,
    ):
        assert (await http.get(url)).content == b"hello"
    assert checked.is_set()


async def test_silence_is_a_timeout() -> None:
    never = asyncio.Event()
    async with raw_server(CHUNKED + b"1\r\nx\r\n", never) as url, client(read_s=0.05) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.get(url)
        never.set()


async def test_a_flood_waits_for_its_reader_and_is_complete() -> None:
    size = 8 * 2**20
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size
    async with raw_server(head, b"x" * size) as url, client() as http, http.stream("GET", url) as response:
        total = 0
        async for data in response.aiter_raw():
            assert len(data) < 4 * 2**20
            total += len(data)
    assert total == size


async def test_leaving_closes_the_connection() -> None:
    gone = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + b"1\r\nx\r\n")
        try:
            await reader.read()
        except ConnectionError:
            pass
        gone.set()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server, client() as http:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with http.stream("GET", url) as response:
            async for _ in response.aiter_raw():
                break
        async with asyncio.timeout(10):
            await gone.wait()
