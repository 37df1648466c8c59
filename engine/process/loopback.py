"""Is it this machine that asks? Names, addresses and the two headers that give a web page away.

A browser on this machine can be led to send requests here by any page it shows. Two headers distinguish them:
`Origin`, which browsers send across sites and scripts cannot forge, and `Host`, which keeps the attacker's
name when DNS is rebound to 127.0.0.1. This module imports no mlx: the proxy's guard asks the same questions.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


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


def page_refusal(headers: Iterable[tuple[bytes, bytes]], *, check_host: bool) -> str:
    """Why a request is refused as that of another host's web page; empty where it is not.

    `check_host` is for a server that listens on loopback alone: elsewhere its other names are not known.
    """
    read = {name: value.decode("latin-1") for name, value in headers if name in (b"origin", b"host")}
    origin = read.get(b"origin")  # requests without it are no page's
    if origin is not None and not _names_loopback(origin):
        return "requests from web pages of other hosts are refused (header Origin)"
    host = read.get(b"host")
    if check_host and host and not _names_loopback(f"http://{host}"):
        return f"the host name {host!r} is not this machine (header Host)"
    return ""


class PageGuard:
    """ASGI middleware of the engine: refuses web pages of other hosts, in OpenAI's error form."""

    def __init__(self, app: ASGIApp, *, bound_host: str) -> None:
        self._app = app
        self._bound_to_loopback = is_loopback_name(bound_host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = ""
        if scope["type"] == "http":
            refused = page_refusal(scope["headers"], check_host=self._bound_to_loopback)
        if not refused:
            await self._app(scope, receive, send)
            return
        import orjson  # a program that only asks for a name answers no pages

        from engine.wire.chat import error_body

        body = orjson.dumps(error_body(refused, "permission_error"))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@lru_cache(256)
def _names_loopback(url: str) -> bool:
    try:
        return is_loopback_name(urlsplit(url).hostname or "")
    except ValueError:
        return False
