"""Is it this machine that asks? Names, addresses and the two headers that give a web page away.

A browser on this machine can be led to send requests here by any page it shows. Two marks tell them apart:
`Origin`, which browsers send across sites and scripts cannot forge, and `Host`, which keeps the attacker's
name when DNS is rebound to 127.0.0.1. This module imports no mlx: the proxy's guard asks the same questions.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.wire.chat import error_body


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


@lru_cache(256)
def foreign_origin(origin: bytes | None) -> bool:
    """Whether the header `Origin` names a page of another host; requests without it are no page's."""
    return origin is not None and not is_loopback_name(_host_of_url(origin.decode("latin-1")))


@lru_cache(256)
def foreign_host(host: bytes | None) -> bool:
    """Whether the header `Host` names another machine."""
    name = (host or b"").decode("latin-1")
    return bool(name) and not is_loopback_name(_host_of_url(f"http://{name}"))


class PageGuard:
    """ASGI middleware of the engine: refuses web pages of other hosts, in OpenAI's error form.

    `Host` is checked only where the server listens on loopback: elsewhere its other names are not known.
    """

    def __init__(self, app: ASGIApp, *, bound_host: str) -> None:
        self._app = app
        self._bound_to_loopback = is_loopback_name(bound_host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refusal(scope) if scope["type"] == "http" else ""
        if not refused:
            await self._app(scope, receive, send)
            return
        body = orjson.dumps(error_body(refused, "permission_error"))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope) -> str:
        headers = {name: value for name, value in scope["headers"] if name in (b"origin", b"host")}
        if foreign_origin(headers.get(b"origin")):
            return "requests from web pages of other hosts are refused (header Origin)"
        if self._bound_to_loopback and foreign_host(headers.get(b"host")):
            return "the host name of the request is not this machine (header Host)"
        return ""


def _host_of_url(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
