"""Who gets in: this machine, or a holder of the token; never a web page from elsewhere.

A browser on this machine can be led to send requests here by any page it shows. Two marks tell them apart:
`Origin`, which browsers send across sites and scripts cannot forge, and `Host`, which keeps the attacker's
name when DNS is rebound to 127.0.0.1.
"""

from __future__ import annotations

import hmac
import ipaddress
import uuid
from functools import lru_cache

import httpx
import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.errors import Forbidden, ProxyError, Unauthenticated, error_body


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
        headers = {name: value for name, value in scope["headers"] if name in _READ}
        origin = headers.get(b"origin")
        if origin is not None and not is_loopback_name(_host_of_url(origin.decode("latin-1"))):
            raise Forbidden("requests from web pages of other hosts are refused (header Origin)")
        if self._token:
            if not any(hmac.compare_digest(word, self._token) for word in _presented(headers)):
                raise Unauthenticated(
                    "this proxy asks for its token: send it as `Authorization: Bearer` or `x-api-key`"
                )
            return
        client = scope.get("client")
        if client is not None and not is_loopback_name(client[0]):
            raise Forbidden("only this machine gets in without a token; set one to allow others")
        host = headers.get(b"host", b"").decode("latin-1")
        if self._bound_to_loopback and host and not is_loopback_name(_host_of_url(f"http://{host}")):
            raise Forbidden(f"the host name {host!r} is not this machine (header Host)")


_READ = frozenset({b"origin", b"host", b"authorization", b"x-api-key"})


@lru_cache(256)  # the same few names come with every request
def is_loopback_name(host: str) -> bool:
    """Whether a host name or address is this machine's loopback, without asking a name server."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _presented(headers: dict[bytes, bytes]) -> list[bytes]:
    """What could be the token: clients send it in either header, some a dummy in the other."""
    scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
    bearer = credentials.strip() if scheme.lower() == b"bearer" else b""
    return [bearer, headers.get(b"x-api-key", b"")]


@lru_cache(256)
def _host_of_url(url: str) -> str:
    try:
        return httpx.URL(url).host
    except (httpx.InvalidURL, ValueError):
        return ""


async def _refuse(error: ProxyError, send: Send) -> None:
    request_id = f"req_{uuid.uuid4().hex[:24]}"
    body = orjson.dumps(error_body(error.info, request_id))
    headers = [(b"content-type", b"application/json"), (b"request-id", request_id.encode())]
    headers.append((b"content-length", str(len(body)).encode()))
    start: Message = {"type": "http.response.start", "status": error.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
