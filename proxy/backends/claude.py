"""Pass-through to an Anthropic endpoint: what came in goes out, byte for byte, and what comes back too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from engine.process.loopback import is_loopback_name
from proxy.backends.faults import fault_of_connection
from proxy.events.errors import UpstreamError

Headers = list[tuple[bytes, bytes]]

# RFC 9110, 7.6.1: of one connection only.
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"}
    | {b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
_READABLE_CODINGS = ("gzip", "deflate")  # what the standard library can read for the trace


class ClaudeBackend:
    """An Anthropic endpoint. Of the client's headers only these change: those of the connection, `host`,
    and `accept-encoding`, narrowed to what the trace can read.

    With a `key` of the proxy's own it takes the place of the client's credentials; with `token`, which asks
    clients for the proxy's own, the header that carries that stays behind.
    """

    name = "claude"

    def __init__(self, base_url: str, *, key: str = "", token: str = "") -> None:
        self._base = base_url.rstrip("/").removesuffix("/v1")
        self._key = key.encode()
        self._token = token.encode()
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(600.0, connect=10.0),
            follow_redirects=False,
            # A proxy of the environment is for the outside, never between two processes of one machine.
            trust_env=not is_loopback_name(httpx.URL(base_url).host),
        )

    @asynccontextmanager
    async def forward(
        self, method: str, target: bytes, headers: Headers, body: bytes
    ) -> AsyncIterator[httpx.Response]:
        """Send a request on; `target` is path and query. The response is open, its body unread.

        Raises:
            UpstreamUnavailable: the endpoint cannot be reached, or was lost, also while the body is read.
        """
        base = httpx.URL(self._base)
        url = base.copy_with(raw_path=base.raw_path.rstrip(b"/") + target)
        try:
            request = httpx.Request(method, url, headers=self.outgoing(headers), content=body or None)
            response = await self._http.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise self.fault(error) from error

    def outgoing(self, headers: Headers) -> Headers:
        """The client's headers as they go out."""
        sent: Headers = []
        for name, value in headers:
            if name in _HOP_BY_HOP or name in (b"host", b"content-length"):
                continue
            if name == b"accept-encoding":
                value = _readable(value)
            elif name in (b"authorization", b"x-api-key") and (
                self._key or (self._token and value.removeprefix(b"Bearer ").strip() == self._token)
            ):
                continue
            sent.append((name, value))
        if self._key:
            sent.append((b"x-api-key", self._key))
        if not any(name == b"accept-encoding" for name, _ in sent):
            sent.append((b"accept-encoding", b"identity"))
        return sent

    def fault(self, error: httpx.HTTPError) -> UpstreamError:
        return fault_of_connection(error, self._base)

    async def close(self) -> None:
        await self._http.aclose()


def incoming(response: httpx.Response) -> Headers:
    """The response's headers as they go to the client."""
    return [(name.lower(), value) for name, value in response.headers.raw if name.lower() not in _HOP_BY_HOP]


def _readable(accepted: bytes) -> bytes:
    codings = [part.strip() for part in accepted.decode("latin-1").split(",")]
    kept = [coding for coding in codings if coding.split(";")[0].strip().lower() in _READABLE_CODINGS]
    return ", ".join(kept).encode("latin-1") or b"identity"
