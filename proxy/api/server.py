"""The Anthropic API of the proxy as an ASGI application."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from engine.wire.json_text import encode_json
from proxy.anthropic.messages import MAX_BODY_BYTES
from proxy.api.access import AccessGuard
from proxy.api.call_checks import NO_CHECKS, CallChecks
from proxy.api.client_side import ClientLeft, new_request_id
from proxy.api.forwarding import ForwardEndpoint
from proxy.api.messages import PING_S, MessagesEndpoint, Service
from proxy.api.model_list import add_model_routes
from proxy.api.token_count import add_token_count_route
from proxy.api.web_tools import Web, web_of
from proxy.backends.claude import ClaudeBackend
from proxy.backends.upstream import Backend
from proxy.configuration.settled import HostConfig
from proxy.events.errors import InvalidRequest, NotFound, ProxyError, UpstreamError, error_body
from proxy.record.tool_history import ToolHistory

if TYPE_CHECKING:
    from proxy.record.recorder import Recorder

log = logging.getLogger(__name__)

OTHER_APIS = {
    "/v1/messages/batches": "send each request of the batch to /v1/messages",
    "/v1/files": "put the file into the message, in base64 or as text",
    "/v1/skills": "skills need the vendor's containers; Claude Code's own skills work without them",
    "/v1/threads": "send all messages of the conversation with each request",
    "/v1/complete": "use /v1/messages",
}
OPENAPI_PATH = "/anyclaude/openapi.json"


def create_app(
    config: HostConfig,
    backend: Backend | ClaudeBackend,
    recorder: Recorder,
    engine_gate: Callable[[], UpstreamError | None],
    *,
    ping_s: float = PING_S,
    max_body_bytes: int = MAX_BODY_BYTES,
    version: str = "unknown",
    web: Web | None = None,
    checks: CallChecks = NO_CHECKS,
    tool_history: ToolHistory | None = None,
) -> FastAPI:
    """The application with the `/v1` routes; the host adds its own routers to it.

    `engine_gate` is asked before each request to the model: an error means that the engine is not ready,
    and is what the client gets. `ping_s` is how long a stream may be silent. `version` stands in the
    OpenAPI document. `web` is what may be used of the web, by default what the configuration allows;
    `checks` answers auto mode. `tool_history` is that of earlier hosts too; by default there is none.
    """
    # The document describes the host's own API; the Anthropic API has its own.
    app = FastAPI(
        title="anyclaude host", version=version, docs_url=None, redoc_url=None, openapi_url=OPENAPI_PATH
    )
    app.add_middleware(AccessGuard, token=config.token, bound_host=config.host)
    answer_faults_in_anthropics_shape(app)
    if isinstance(backend, ClaudeBackend):
        endpoint = ForwardEndpoint(
            backend, recorder, config.backend_name, engine_gate, max_body_bytes=max_body_bytes
        )
        app.router.routes.append(Route("/v1/{rest:path}", endpoint=endpoint, methods=None))
    else:
        service = Service(
            backend,
            recorder,
            engine_gate,
            config.backend_name,
            ping_s,
            max_body_bytes,
            web=web if web is not None else web_of(config),
            checks=checks,
            tool_history=tool_history or ToolHistory(),
        )
        # A bare ASGI application: FastAPI's request handling would cost each stream its directness.
        app.router.routes.append(Route("/v1/messages", MessagesEndpoint(service), methods=["POST"]))
        add_token_count_route(app, service)
        add_model_routes(app, backend)
        _refuse_other_apis(app)
    _add_greetings(app)
    return app


def _refuse_other_apis(app: FastAPI) -> None:
    """Say what is missing and what to do, rather than that a path is unknown."""
    for path, why in OTHER_APIS.items():

        async def refuse(request: Request, why: str = why) -> Response:
            raise NotFound(f"{request.method} {request.url.path} is not supported by this proxy: {why}")

        for each in (path, path + "/{rest:path}"):
            app.router.routes.append(Route(each, refuse, methods=["GET", "POST", "PATCH", "DELETE"]))


def _add_greetings(app: FastAPI) -> None:
    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    @app.api_route("/api/hello", methods=["GET", "HEAD"], include_in_schema=False)
    async def hello() -> Response:
        """Claude Code sends this before it starts, to check that a server answers."""
        return _json(200, {"message": "hello"}, new_request_id())


def answer_faults_in_anthropics_shape(app: FastAPI) -> None:
    """Give each error that a route raises the body of an error of the Anthropic API."""

    @app.exception_handler(ProxyError)
    async def proxy_error(_: Request, error: ProxyError) -> Response:
        return _fault(error)

    @app.exception_handler(ClientLeft)
    async def client_left(_: Request, error: ClientLeft) -> Response:
        return Response(status_code=499)  # nobody reads it

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        place = f"{request.method} {request.url.path}"
        if error.status_code == 404:
            return _fault(NotFound(f"there is no {place} here"))
        fault = InvalidRequest(f"{place}: {error.detail}")
        fault.status = error.status_code
        fault.headers |= dict(error.headers or {})
        return _fault(fault)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _fault(ProxyError(f"the proxy failed on this request: {type(error).__name__}: {error}"))


def _fault(error: ProxyError) -> Response:
    request_id = new_request_id()
    return _json(error.status, error_body(error.info, request_id, error.details), request_id, error.headers)


def _json(status: int, body: object, request_id: str, headers: dict[str, str] | None = None) -> Response:
    fields = {"request-id": request_id, **(headers or {})}
    return Response(encode_json(body), status, fields, "application/json")
