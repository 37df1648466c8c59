"""The host's API to the engine's prefix cache: what it holds, pin, unpin, drop, flush."""

from __future__ import annotations

from typing import Any, Protocol, get_args

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from proxy.backends.claude import ClaudeBackend
from proxy.backends.mlx import CacheAction, MlxBackend
from proxy.backends.upstream import Backend
from proxy.events.bus import EventBus
from proxy.events.cache_facts import CacheDone, CacheHoldings, CacheTier
from proxy.events.errors import InvalidRequest, ProxyError
from proxy.events.types import CacheActed

_EVENTS: dict[CacheAction, str] = {
    "pin": "cache.pinned",
    "unpin": "cache.unpinned",
    "drop": "cache.dropped",
    "flush": "cache.flushed",
}
_TIER = {
    "parameters": [
        {
            "name": "tier",
            "in": "query",
            "schema": {"enum": list(get_args(CacheTier))},
            "description": "where to remove all from; both if left out. What is pinned stays",
        }
    ]
}


class CachingHost(Protocol):
    """What these routes ask of a host (`proxy.assembly.Host`)."""

    bus: EventBus
    backend: Backend | ClaudeBackend


def add_cache_routes(router: APIRouter, host: CachingHost) -> None:
    """The routes below `/anyclaude/cache`."""
    done: dict[int | str, dict[str, Any]] = {200: {"model": CacheDone}}

    @router.get("/anyclaude/cache", responses={200: {"model": CacheHoldings}})
    async def holdings() -> Response:
        """What the prefix cache holds, what was evicted, and what of that was wanted again."""
        found = await _engine(host).cache()
        try:
            held = CacheHoldings.model_validate(found)
        except ValidationError:
            raise ProxyError("the engine's account of its prefix cache cannot be read") from None
        return JSONResponse(held.model_dump())

    @router.post("/anyclaude/cache/flush", responses=done, openapi_extra=_TIER)
    async def flush(request: Request) -> Response:
        """Remove everything but what is pinned."""
        tier = request.query_params.get("tier") or "both"
        if tier not in get_args(CacheTier):
            raise InvalidRequest(f"tier={tier} is none of {', '.join(get_args(CacheTier))}")
        return await _act(host, "flush", tier=tier)

    @router.post("/anyclaude/cache/{entry}/pin", responses=done)
    async def pin(entry: str) -> Response:
        """Keep the entry whose id begins so from eviction."""
        return await _act(host, "pin", id=entry)

    @router.post("/anyclaude/cache/{entry}/unpin", responses=done)
    async def unpin(entry: str) -> Response:
        """Let the entry be evicted again."""
        return await _act(host, "unpin", id=entry)

    @router.post("/anyclaude/cache/{entry}/drop", responses=done)
    async def drop(entry: str) -> Response:
        """Remove the entry, and all that goes on from it, from memory and disk."""
        return await _act(host, "drop", id=entry)


async def _act(host: CachingHost, action: CacheAction, **asked: str) -> Response:
    """Do it, and report it to all screens."""
    answer = await _engine(host).cache(action, **asked)
    try:
        done = CacheDone.model_validate(answer)
    except ValidationError:
        raise ProxyError(f"the engine's answer to the {action} cannot be read") from None
    event = CacheActed(
        **done.model_dump(include={"tokens", "entries", "total_bytes", "budget_bytes", "session", "lane"}),
        bytes=done.memory_bytes,
        entry=done.id,
        tier=asked.get("tier", ""),
        disk_files=done.disk_files,
        disk_bytes=done.disk_bytes,
        lasting=done.lasting,
    )
    host.bus.publish(_EVENTS[action], event)
    return JSONResponse(done.model_dump())


def _engine(host: CachingHost) -> MlxBackend:
    if not isinstance(host.backend, MlxBackend):
        raise InvalidRequest(
            f"what {host.backend.name} caches is its own: only the built-in engine's prefix cache can be"
            " listed and changed"
        )
    return host.backend
