"""The host's own API: its event stream, state, traces and health, and the engine's restart."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel

from engine.wire.json_text import encode_json
from proxy.api.cache_routes import add_cache_routes
from proxy.api.list_routes import add_lists
from proxy.api.query_parameters import DEFAULT_ROWS, is_set, number, parameters
from proxy.backends.claude import ClaudeBackend
from proxy.backends.upstream import Backend
from proxy.events.bus import BusReader, EventBus, Published
from proxy.events.causes import HOST_ENDS
from proxy.events.errors import InvalidRequest, NotFound, ProxyError, UpstreamError, UpstreamUnavailable
from proxy.events.metrics import CONTENT_TYPE, Metrics
from proxy.events.types import EngineState, Event, HostNotice, HostState
from proxy.record.past_events import past_events
from proxy.record.recorder import Recorder
from proxy.supervision.supervisor import Supervisor
from proxy.timeline.health_keeper import HealthKeeper
from proxy.traces.analysis.comparing.comparable import NOTHING, comparable
from proxy.traces.analysis.comparing.diff_facts import DiffFacts, compare
from proxy.traces.analysis.context import context_of_session
from proxy.traces.analysis.context_facts import ContextBudget
from proxy.traces.analysis.why import explain
from proxy.traces.analysis.why_facts import Why
from proxy.traces.files import is_trace_id
from proxy.traces.listing.turns import SessionTurns, turns_around
from proxy.traces.reading import TraceNotFound, TraceUnreadable
from proxy.traces.schema import Trace
from proxy.traces.writing import TraceStore

KEEP_ALIVE_S = 10.0
_Responses = dict[int | str, dict[str, Any]]
_T = TypeVar("_T")


class Restarting(BaseModel):
    """The engine is being restarted."""

    restarting: bool
    running: int = 0  # requests that it waits for


class Stopping(BaseModel):
    """The host ends, at once or after the requests that run."""

    stopping: bool
    running: int


class Cancelling(BaseModel):
    """A running request is being ended."""

    cancelling: str


class Live(BaseModel):
    """The host answers."""

    live: bool


class Ready(BaseModel):
    """Whether the engine takes requests, and what is known where it does not."""

    ready: bool
    engine: str
    detail: str


_FEED: _Responses = {
    200: {"content": {"text/event-stream": {}}, "description": "one JSON event a frame, without an end"}
}
_RESTARTED: _Responses = {202: {"model": Restarting}}
_CANCELLING: _Responses = {202: {"model": Cancelling}}
_STOPPING: _Responses = {202: {"model": Stopping}}


class PastEvents(BaseModel):
    """Events from before those that the feed still has, oldest first."""

    events: list[Event]


class ObservedHost(Protocol):
    """What these routes ask of a host (`proxy.assembly.Host`)."""

    bus: EventBus
    backend: Backend | ClaudeBackend
    started: float
    supervisor: Supervisor | None
    store: TraceStore
    metrics: Metrics
    recorder: Recorder
    health: HealthKeeper
    stopping: bool

    def state(self) -> HostState:
        """The host and its state."""

    def engine_state(self) -> EngineState:
        """The engine's state."""

    def unready(self) -> UpstreamError | None:
        """Why the engine cannot take requests now, if it cannot."""

    def end(self, *, now: bool = False) -> int:
        """End the host after the requests that run, or now; returns how many those are."""


def host_routes(host: ObservedHost, *, keep_alive_s: float = KEEP_ALIVE_S) -> APIRouter:
    """The routes of docs/architecture.md, "Host API", beside the Anthropic API."""
    router = APIRouter()
    add_cache_routes(router, host)
    _add_feed(router, host, keep_alive_s)
    _add_requests(router, host)
    add_lists(router, host)
    _add_traces(router, host)
    _add_sessions(router, host)
    _add_health(router, host)
    return router


def _add_feed(router: APIRouter, host: ObservedHost, keep_alive_s: float) -> None:
    @router.get("/anyclaude/events", responses=_FEED, openapi_extra=parameters("since"))
    async def events(request: Request) -> Response:
        """The feed: server-sent events, each with its `seq` as id, behind `Last-Event-ID` or `since`."""
        # A client that comes back asks for the same address again; where it had come to is in the header.
        since = request.headers.get("last-event-id") or request.query_params.get("since")
        reader = host.bus.follow(number(since, "since") if since else None)
        frames = event_stream(reader, keep_alive_s)
        return StreamingResponse(
            frames, media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    @router.get("/anyclaude/state", responses={200: {"model": HostState}})
    async def state() -> Response:
        """The host and its state."""
        return Response(host.state().model_dump_json(), media_type="application/json")

    @router.post(
        "/anyclaude/engine/restart",
        status_code=202,
        responses=_RESTARTED,
        openapi_extra=parameters("drain"),
    )
    async def restart(request: Request) -> Response:
        """Restart the engine now, also after it has failed for good, or after the requests that run."""
        if host.supervisor is None:
            raise InvalidRequest("this host runs no engine of its own, so there is none to restart")
        if host.stopping:
            raise InvalidRequest(HOST_ENDS)
        running = host.supervisor.restart(drain=is_set(request, "drain"))
        when = f"after the requests that run ({running}); new ones are told to retry, " if running else ""
        text = f"the engine is being restarted, {when}as a person asked"
        host.bus.publish("host.notice", HostNotice(text=text))
        return JSONResponse({"restarting": True, "running": running}, status_code=202)

    @router.post("/anyclaude/stop", status_code=202, responses=_STOPPING, openapi_extra=parameters("now"))
    async def stop(request: Request) -> Response:
        """End the host after the requests that run; new ones are refused meanwhile."""
        running = host.end(now=is_set(request, "now"))
        return JSONResponse({"stopping": True, "running": running}, status_code=202)


def _add_requests(router: APIRouter, host: ObservedHost) -> None:
    @router.post("/anyclaude/requests/{request_id}/cancel", status_code=202, responses=_CANCELLING)
    async def cancel(request_id: str) -> Response:
        """End the running request whose id begins so; its client gets an error that it does not repeat."""
        fit = host.recorder.cancel(request_id)
        if len(fit) != 1:
            what = "begins the ids of several requests" if fit else "does not run here (any more)"
            these = ", ".join(fit or host.recorder.running) or "none"
            raise NotFound(f"{request_id} {what}; running: {these}")
        return JSONResponse({"cancelling": fit[0]}, status_code=202)


def _add_traces(router: APIRouter, host: ObservedHost) -> None:
    @router.get(
        "/anyclaude/history", responses={200: {"model": PastEvents}}, openapi_extra=parameters("limit")
    )
    async def history(request: Request) -> Response:
        """The newest requests from before the feed's oldest event, made of their traces, and the health."""
        limit = number(request.query_params.get("limit") or str(DEFAULT_ROWS), "limit")
        before = host.bus.held_since or host.started
        try:
            store = host.store
            events = await asyncio.to_thread(
                past_events, store.folder, store.index, limit=limit, before=before
            )
        except (sqlite3.Error, OSError) as error:
            raise ProxyError(f"the trace index cannot be read ({error}); the traces are kept") from None
        events.append(host.health.past_event())
        listed = [event.model_dump() for event in events]
        return Response(encode_json({"events": listed}), media_type="application/json")

    @router.get(
        "/anyclaude/traces/{trace_id}",
        responses={200: {"model": Trace}},
        openapi_extra=parameters("brief"),
    )
    async def trace(request: Request, trace_id: str) -> Response:
        """One trace, whole, or without what is long in it."""
        load = host.store.brief if is_set(request, "brief") else host.store.load
        return _json(await _asked(host, trace_id, lambda: load(trace_id)))

    @router.get(
        "/anyclaude/traces/{trace_id}/diff",
        responses={200: {"model": DiffFacts}},
        openapi_extra=parameters("with"),
    )
    async def compared(request: Request, trace_id: str) -> Response:
        """Where this request's prompt parts from another's, and what that cost."""
        other = request.query_params.get("with", "")

        def facts() -> DiffFacts:
            b = host.store.load(trace_id)
            if other:
                return compare(host.store.load(other), b)
            found = comparable(b, host.store.index, host.store.load)
            if found is None:
                raise TraceNotFound(NOTHING)
            facts = compare(host.store.load(found.id), b)
            return facts.model_copy(update={"chosen": found.chosen})

        return _json(await _asked(host, trace_id, facts))

    @router.get("/anyclaude/traces/{trace_id}/why", responses={200: {"model": Why}})
    async def why(trace_id: str) -> Response:
        """Why this request was slow, missed, failed or left."""

        def explained() -> Why:
            return explain(host.store.brief(trace_id), host.store.index)

        found = await _asked(host, trace_id, explained)
        return _json(found)

    @router.get("/anyclaude/traces/{trace_id}/turns", responses={200: {"model": SessionTurns}})
    async def turns(trace_id: str) -> Response:
        """The requests of its session around this one."""

        def around() -> SessionTurns:
            return turns_around(host.store.brief(trace_id), host.store.index)

        return _json(await _asked(host, trace_id, around))


def _add_sessions(router: APIRouter, host: ObservedHost) -> None:
    @router.get(
        "/anyclaude/sessions/{session:path}/context",
        responses={200: {"model": ContextBudget}},
        openapi_extra=parameters("at"),
    )
    async def context(session: str, request: Request) -> Response:
        """What fills the context window of a session at its newest request."""
        at = request.query_params.get("at", "")
        store, window = host.store, host.engine_state().context_tokens

        def counted() -> ContextBudget:
            return context_of_session(session, store.index, store.load, at=at, window=window)

        found = await _asked(host, at, counted)
        return _json(found)


async def _asked(host: ObservedHost, trace_id: str, question: Callable[[], _T]) -> _T:
    """What a thread finds out about one trace, if one is named, its errors as those of this API."""
    if trace_id and not is_trace_id(trace_id):
        raise NotFound(f"{trace_id} is no trace id")
    try:
        return await asyncio.to_thread(question)
    except TraceNotFound as error:
        raise NotFound(f"{error}{_unrecorded(host)}") from None
    except TraceUnreadable as error:
        raise ProxyError(str(error)) from None
    except sqlite3.Error as error:
        raise ProxyError(f"the trace index cannot be read ({error}); the traces are kept") from None


def _unrecorded(host: ObservedHost) -> str:
    """Why a request that was seen may have no trace."""
    if host.recorder.traces is None:
        return "; this host keeps no traces"
    disk = host.health.disk
    if disk is not None and disk.unwritten:
        number = f"{disk.unwritten} request" + ("s" if disk.unwritten > 1 else "")
        return f"; the last {number} could not be recorded: {disk.refusal}"
    return ""


def _add_health(router: APIRouter, host: ObservedHost) -> None:
    @router.get("/health/live", responses={200: {"model": Live}})
    async def live() -> Response:
        """Whether the host answers."""
        return JSONResponse({"live": True})

    @router.get("/health/ready", responses={200: {"model": Ready}, 503: {"model": Ready}})
    async def ready() -> Response:
        """503 until the engine takes requests."""
        state, error = host.engine_state(), host.unready()
        readiness = {"ready": error is None, "engine": state.state, "detail": state.detail}
        if error is None:
            return JSONResponse(readiness)
        waits = error.headers if isinstance(error, UpstreamUnavailable) else {}
        return JSONResponse(readiness, status_code=503, headers=waits)

    @router.get("/metrics", responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Prometheus metrics."""
        shown = await asyncio.to_thread(host.metrics.render)  # which sums up the run
        return Response(shown, headers={"content-type": CONTENT_TYPE})


async def event_stream(reader: BusReader, keep_alive_s: float) -> AsyncIterator[bytes]:
    """Server-sent events of one reader, with a comment in every silence, until the bus is closed."""
    yield b": anyclaude events\n\n"
    while not reader.ended:
        events = await reader.next(keep_alive_s)
        yield b"".join(map(_frame, events)) or b": still here\n\n"


def _frame(event: Published) -> bytes:
    # No `event:` field: a browser's EventSource would hide all types but those that it was told to expect.
    return b"id: %d\ndata: %b\n\n" % (event.seq, event.json)


def _json(model: BaseModel) -> Response:
    return Response(encode_json(model.model_dump()), media_type="application/json")
