"""What a person may ask of the prefix cache, over HTTP: its entries, pin, unpin, drop, flush."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol, TypeVar, get_args

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.api.json_body import InvalidChatRequest, parse_body
from engine.models.loading import LoadedModel
from engine.prefix_cache.control import CacheControl, FlushedTier, NoSuchEntry, Refused
from engine.scheduling.scheduler import LoopEnded, Scheduler
from engine.wire.chat import error_body

_WITHIN_S = 30.0  # a chunk of a long prompt may take seconds
_TIERS = get_args(FlushedTier)

T = TypeVar("T")


class CachingEngine(Protocol):
    """What these routes ask of an engine (`engine.api.app.Engine`)."""

    scheduler: Scheduler
    cache: CacheControl | None

    def require_model(self) -> LoadedModel:
        """The model; raises `engine.api.app.NotReady` where it is not loaded."""


def cache_routes(engine: CachingEngine) -> list[Route]:
    """The routes of docs/architecture.md, "Engine API", below `/v1/cache`."""

    async def holdings(_: Request) -> Response:
        return await _asked(engine, lambda cache: asdict(cache.holdings()))

    async def pin(request: Request) -> Response:
        entry = await _entry(request)
        return await _asked(engine, lambda cache: asdict(cache.pin(entry)))

    async def unpin(request: Request) -> Response:
        entry = await _entry(request)
        return await _asked(engine, lambda cache: asdict(cache.unpin(entry)))

    async def drop(request: Request) -> Response:
        entry = await _entry(request)
        return await _asked(engine, lambda cache: asdict(cache.drop(entry)))

    async def flush(request: Request) -> Response:
        tier: Any = parse_body(await request.body()).get("tier")
        if tier not in _TIERS:
            raise InvalidChatRequest(f"tier must be one of {', '.join(_TIERS)}", param="tier")
        return await _asked(engine, lambda cache: asdict(cache.flush(tier)))

    changes = (pin, unpin, drop, flush)
    return [
        Route("/v1/cache", holdings),
        *(Route(f"/v1/cache/{change.__name__}", change, methods=["POST"]) for change in changes),
    ]


async def _entry(request: Request) -> str:
    entry = parse_body(await request.body()).get("id")
    if not isinstance(entry, str):
        raise InvalidChatRequest("id must be the id of an entry, or its beginning", param="id")
    return entry


async def _asked(engine: CachingEngine, question: Callable[[CacheControl], dict[str, Any]]) -> Response:
    """What the cache answers on the model's thread, or why it does not."""
    engine.require_model()
    cache = engine.cache
    if cache is None:
        return _refused("this engine has no prefix cache", 404, "no_cache")
    asked = engine.scheduler.ask(lambda: question(cache))
    try:
        async with asyncio.timeout(_WITHIN_S):  # which cancels a question that is not put yet
            found = await asyncio.wrap_future(asked)
    except NoSuchEntry as error:
        return _refused(str(error), 404, "no_such_entry")
    except Refused as error:
        return _refused(str(error), 409, "refused")
    except LoopEnded as error:
        return _refused(str(error), 503, "engine_ended")
    except TimeoutError:
        return _refused(
            f"the model's loop did not come to it within {_WITHIN_S:.0f} s: nothing was done; try again",
            503,
            "engine_busy",
        )
    return Response(orjson.dumps(found), media_type="application/json")


def _refused(message: str, status: int, code: str) -> Response:
    body = error_body(message, "invalid_request_error" if status < 500 else "server_error", code=code)
    return Response(orjson.dumps(body), status, media_type="application/json")
