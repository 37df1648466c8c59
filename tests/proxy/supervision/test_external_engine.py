"""An engine that somebody else runs: whether it is there is told as soon as it is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.events.bus import EventBus
from proxy.events.types import CacheActed, EngineStatus, EventData, RequestReceived
from proxy.supervision.external_engine import ExternalEngine
from proxy.supervision.watch import Timing

SELDOM = Timing(probe_busy=0.05, probe_idle=600)
WELL = b'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 17\r\n\r\n{"state":"ready"}'


@asynccontextmanager
async def engine(port: int = 0) -> AsyncIterator[int]:
    """Somebody's engine, which is well."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WELL)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
        yield server.sockets[0].getsockname()[1]


async def until(joined: ExternalEngine, state: EngineStatus) -> None:
    async with asyncio.timeout(10):
        await joined.board.until(state)


@pytest.mark.parametrize(
    ("event", "data"), [("request.received", RequestReceived()), ("cache.flushed", CacheActed())]
)
async def test_the_end_and_the_return_of_the_engine_are_reported_at_once(event: str, data: EventData) -> None:
    bus = EventBus()
    async with engine() as port:
        joined = ExternalEngine(f"http://127.0.0.1:{port}", bus=bus, model="m", timing=SELDOM)
        joined.start()
        await until(joined, "ready")
        assert joined.unready() is None
    try:
        bus.publish(event, data, "req_1")  # at rest it is asked when something happens
        await until(joined, "exited")
        assert joined.unready() is not None
        assert joined.gate() is None
        assert "no engine answers" in joined.board.state.detail
        async with engine(port):
            await until(joined, "ready")
    finally:
        await joined.stop()
