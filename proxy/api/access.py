"""Who gets in: this machine, or a holder of the token; never a web page from elsewhere.

How a page gives itself away is described in `engine.process.loopback`.
"""

from __future__ import annotations

import hmac

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.process.loopback import is_loopback_name, page_refusal
from proxy.api.client_side import new_request_id
from proxy.events.errors import Forbidden, ProxyError, Unauthenticated, error_body


class AccessGuard:
    """ASGI middleware: checks each request before anything of it is read.

    `bound_host` is the address that the server listens on; `token` is asked of every client unless empty.
    """

    def __init__(self, app: ASGIApp, *, token: str, bound_host: str) -> None:
        self._app = app
        self._token = token.encode()
        self._bound_to_loopback = is_loopback_name(bound_host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except ProxyError as error:
            await _refuse(error, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        check_host = self._bound_to_loopback and not self._token
        if refused := page_refusal(scope["headers"], check_host=check_host):
            raise Forbidden(refused)
        if self._token:
            headers = {name: value for name, value in scope["headers"] if name in _PRESENTED}
            if not any(hmac.compare_digest(word, self._token) for word in _presented(headers)):
                raise Unauthenticated(
                    "this proxy asks for its token: send it as `Authorization: Bearer` or `x-api-key`"
                )
            return
        client = scope.get("client")
        if client is not None and not is_loopback_name(client[0]):
            raise Forbidden("only this machine gets in without a token; set one to allow others")


_PRESENTED = frozenset({b"authorization", b"x-api-key"})


def _presented(headers: dict[bytes, bytes]) -> list[bytes]:
    """What could be the token: clients send it in either header, some a dummy in the other."""
    scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
    bearer = credentials.strip() if scheme.lower() == b"bearer" else b""
    return [bearer, headers.get(b"x-api-key", b"")]


async def _refuse(error: ProxyError, send: Send) -> None:
    request_id = new_request_id()
    body = orjson.dumps(error_body(error.info, request_id))
    headers = [(b"content-type", b"application/json"), (b"request-id", request_id.encode())]
    headers.append((b"content-length", str(len(body)).encode()))
    start: Message = {"type": "http.response.start", "status": error.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
