"""The host's own API for lists: traces in an order and by a filter, when they came, and their tool calls."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol

from fastapi import APIRouter, Request
from fastapi.responses import Response

from engine.wire.json_text import encode_json
from proxy.api.query_parameters import DEFAULT_ROWS, is_set, moment, number, parameters
from proxy.events.errors import InvalidRequest, ProxyError
from proxy.traces.listing.calls_page import CallPage
from proxy.traces.listing.histogram import Histogram
from proxy.traces.listing.order import Order
from proxy.traces.listing.usage_sums import UsageSums, usage_sums
from proxy.traces.marks import read_marks
from proxy.traces.schema import TracePage
from proxy.traces.writing import TraceStore

_PARTS = 60


class ListingHost(Protocol):
    """What these routes ask of a host (`proxy.assembly.Host`)."""

    store: TraceStore


def add_lists(router: APIRouter, host: ListingHost) -> None:
    """Add the routes; they come before those of one trace, of which these paths would be ids."""

    @router.get(
        "/anyclaude/traces",
        responses={200: {"model": TracePage}},
        openapi_extra=parameters("limit", "before", "offset", "around", "sort", "reverse", "from", "q"),
    )
    async def traces(request: Request) -> Response:
        """The list of traces, newest first, or by a figure."""
        asked = request.query_params
        limit = number(asked.get("limit") or str(DEFAULT_ROWS), "limit")
        offset = number(asked.get("offset") or "0", "offset")
        since = moment(request, "from") or 0.0
        before, around, query = asked.get("before", ""), asked.get("around", ""), asked.get("q", "")

        def rows() -> dict[str, Any]:
            marks = read_marks(host.store.folder)
            order = Order.of(asked.get("sort") or "time", is_set(request, "reverse"))
            page = host.store.index.page(
                limit=limit,
                before=before,
                offset=offset,
                around=around,
                order=order,
                since=since,
                query=query,
                marked=marks,
            )
            listed = [row.model_dump() | {"marked": row.id in marks} for row in page.traces]
            found = {"traces": listed, "total": page.total}
            return found | ({"offset": page.offset, "place": page.place} if around else {})

        return await _answered(rows)

    @router.get(
        "/anyclaude/traces/histogram",
        responses={200: {"model": Histogram}},
        openapi_extra=parameters("from", "until", "parts", "q"),
    )
    async def when(request: Request) -> Response:
        """How many traces came in each part of a time, and how many of them fit the filter."""
        since, until = moment(request, "from"), moment(request, "until")
        parts = number(request.query_params.get("parts") or str(_PARTS), "parts")
        query = request.query_params.get("q", "")

        def counts() -> dict[str, Any]:
            marks = read_marks(host.store.folder)
            return asdict(
                host.store.index.histogram(
                    since=since or 0.0, until=until, parts=parts, query=query, marked=marks
                )
            )

        return await _answered(counts)

    @router.get(
        "/anyclaude/calls",
        responses={200: {"model": CallPage}},
        openapi_extra=parameters("limit", "offset", "failed", "from", "q"),
    )
    async def calls(request: Request) -> Response:
        """The tool calls of the requests that fit a filter, newest first, and the figures of each tool."""
        asked = request.query_params
        limit = number(asked.get("limit") or str(DEFAULT_ROWS), "limit")
        offset = number(asked.get("offset") or "0", "offset")
        since = moment(request, "from") or 0.0

        def listed() -> dict[str, Any]:
            marks, failed = read_marks(host.store.folder), is_set(request, "failed")
            query = asked.get("q", "")
            return asdict(
                host.store.index.calls(
                    limit=limit, offset=offset, failed=failed, since=since, query=query, marked=marks
                )
            )

        return await _answered(listed)

    @router.get("/anyclaude/usage", responses={200: {"model": UsageSums}}, openapi_extra=parameters("from"))
    async def usage(request: Request) -> Response:
        """What the prompts of a time restored and prefilled, and the time that this saved."""
        since = moment(request, "from") or 0.0
        return await _answered(lambda: asdict(usage_sums(host.store.index, since)))


async def _answered(question: Callable[[], dict[str, Any]]) -> Response:
    """What a thread finds out of the index, its errors as those of this API."""
    try:
        found = await asyncio.to_thread(question)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
    except (sqlite3.Error, OSError) as error:
        raise ProxyError(f"the trace index cannot be read ({error}); the traces are kept") from None
    return Response(encode_json(found), media_type="application/json")
