"""The host passes on what the engine says of its prefix cache, and reports what a person changed in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from proxy.assembly import Host
from proxy.backends.mlx import MlxBackend
from proxy.backends.upstream import UpstreamRequest
from proxy.configuration.settled import HostConfig
from proxy.events.errors import UpstreamError
from proxy.events.types import CacheActed
from tests.proxy.live import serve
from tui.client.host_client import TIMEOUT_S, HostClient, HostError

ENTRY = {"id": "ab12", "tokens": 30, "sessions": ["s1"], "pinned_tokens": 30, "of a later version": 1}
EVICTION = {"at": 5.0, "cause": "room", "owner": {"session": "s1"}, "by": {"session": "s2", "lane": "main"}}
HELD = {
    "entries": [ENTRY],
    "evictions": [EVICTION],
    "wanted": [{"at": 6.0, "tokens": 30, "eviction": EVICTION}],
}
DONE = {"id": "ab12", "session": "s1", "tokens": 30, "memory_bytes": 9, "entries": 2, "total_bytes": 8}


class Engine:
    """The cache's side of an engine: answers as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.headers: dict[str, str] = {}
        self.refusal: tuple[int, Any] | None = None
        self.hangs, self.released = False, asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/v1/cache", self._held),
                Route("/v1/cache/{action}", self._act, methods=["POST"]),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
            ]
        )

    async def _held(self, request: Request) -> Response:
        await self._hang()
        return self._refused() or JSONResponse(HELD)

    async def _act(self, request: Request) -> Response:
        self.asked.append((request.path_params["action"], await request.json()))
        await self._hang()
        return self._refused() or JSONResponse(DONE)

    async def _chat(self, request: Request) -> Response:
        self.headers = dict(request.headers)
        return JSONResponse({"error": {"message": "no"}}, 500)

    async def _hang(self) -> None:
        if self.hangs:
            await self.released.wait()

    def _refused(self) -> Response | None:
        return None if self.refusal is None else JSONResponse(self.refusal[1], self.refusal[0])


@asynccontextmanager
async def host_of(engine: Engine, home: Path, **fields: Any) -> AsyncIterator[tuple[Host, HostClient]]:
    async with serve(engine.app) as url:
        config = HostConfig(
            **{"home": home, "backend": "mlx", "manage_engine": False, "backend_url": f"{url}/v1"} | fields
        )
        host = Host(config, "http://127.0.0.1:1")
        async with serve(host.app) as own:
            client = HostClient(own)
            try:
                yield host, client
            finally:
                await client.close()
                await host.close()


async def test_what_the_cache_holds_comes_through(tmp_path: Path) -> None:
    async with host_of(Engine(), tmp_path) as (_, client):
        held = await client.cache()
    (entry,) = held.entries
    assert (entry.id, entry.tokens, entry.sessions, entry.pinned_tokens) == ("ab12", 30, ["s1"], 30)
    assert (held.evictions[0].by.session, held.wanted[0].tokens) == ("s2", 30)


async def test_what_a_person_changes_is_done_and_reported(tmp_path: Path) -> None:
    engine, told = Engine(), list[tuple[str, CacheActed]]()
    async with host_of(engine, tmp_path) as (host, client):
        host.bus.listen(lambda type, _, data: told.append((type, data)))  # type: ignore[arg-type]
        for action in ("pin", "unpin", "drop"):
            assert (await client.change_cache_entry(action, "ab")).id == "ab12"
        assert (await client.flush_cache("disk")).tokens == 30
        totals = host.totals
    assert engine.asked == [
        ("pin", {"id": "ab"}),
        ("unpin", {"id": "ab"}),
        ("drop", {"id": "ab"}),
        ("flush", {"tier": "disk"}),
    ]
    assert [type for type, _ in told] == ["cache.pinned", "cache.unpinned", "cache.dropped", "cache.flushed"]
    assert {(event.entry, event.session, event.bytes) for _, event in told} == {("ab12", "s1", 9)}
    assert told[-1][1].tier == "disk"
    assert (totals.cache_entries, totals.cache_bytes) == (2, 8)


REFUSALS: list[tuple[int, Any, str]] = [
    (404, {"error": {"message": "zz is no entry", "code": "no_such_entry"}}, "^zz is no entry"),
    (404, {"detail": "Not Found"}, "tells nothing of its prefix cache: restart it"),
    (409, {"error": {"message": "ab is not pinned"}}, "^ab is not pinned"),
    (503, {"error": {"message": "the model is still loading"}}, "the model is still loading"),
    (200, {"entries": 3}, "cannot be read"),
    (200, [], "instead of an object"),
]


async def test_a_refusal_says_why(tmp_path: Path) -> None:
    engine = Engine()
    async with host_of(engine, tmp_path) as (_, client):
        for status, body, said in REFUSALS:
            engine.refusal = status, body
            with pytest.raises(HostError, match=said):
                await (client.cache() if status == 200 else client.change_cache_entry("pin", "zz"))
        with pytest.raises(HostError, match="tier=all is none of memory, disk, both"):
            await client.flush_cache("all")


async def test_an_engine_that_hangs_is_named_before_who_asked_gives_up(tmp_path: Path) -> None:
    engine = Engine()
    async with host_of(engine, tmp_path) as (host, client):
        assert isinstance(host.backend, MlxBackend)
        assert host.backend.patience_s < TIMEOUT_S
        engine.hangs, host.backend.patience_s = True, 0.01
        with pytest.raises(HostError, match=r"the engine does not answer$"):
            await client.cache()
        with pytest.raises(HostError, match="the engine does not answer: it may still drop what was asked"):
            await client.change_cache_entry("drop", "ab")
        engine.released.set()


async def test_another_backend_has_no_cache_of_ours(tmp_path: Path) -> None:
    async with host_of(Engine(), tmp_path, backend="openai", backend_name="vllm") as (_, client):
        with pytest.raises(HostError, match="what vllm caches is its own"):
            await client.cache()


@pytest.mark.parametrize("session", ["s-1", "ein Süß\r\nx-evil: 1", "長" * 500, ""])
async def test_the_engine_is_told_whose_request_it_is(session: str) -> None:
    engine = Engine()
    async with serve(engine.app) as url:
        backend = MlxBackend(f"{url}/v1", "m")
        with pytest.raises(UpstreamError):
            async for _ in backend.stream(UpstreamRequest({"messages": []}, "req_1", session=session)):
                pass
        await backend.close()
    assert engine.headers["x-request-id"] == "req_1"
    assert "x-evil" not in engine.headers
    assert engine.headers["x-anyclaude-session"].isascii()
