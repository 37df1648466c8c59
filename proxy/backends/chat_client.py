"""One upstream's chat completion API over HTTP: opened, read as steps, closed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from engine.process.loopback import is_loopback_name
from engine.wire.json_text import encode_json
from engine.wire.sse import SseReader
from proxy.backends.chat_stream import ChatStreamReader, parse_json
from proxy.backends.faults import fault_of_connection, fault_of_page, fault_of_status
from proxy.backends.plain_http import PlainTransport
from proxy.backends.upstream import UpstreamEvent

_CONNECT_S = 10.0
_SILENCE_S = 600.0  # a server without progress reports may prefill for minutes
_IDLE_S = 3.0  # below uvicorn's five, so that no pooled connection is closed under a request

_ANY_PORT_HERE = "http://127.0.0.1"
_AT_ONCE = 32  # events that are translated before the client is sent anything


class ChatClient:
    """HTTP to one base URL; `who` names the upstream in errors.

    Where the base URL is a function, each request asks it anew: that is for a server of this machine whose
    port changes, and it may raise an `UpstreamError` while there is none.

    Every method raises `proxy.events.errors.UpstreamError` for what the upstream or the way to it does.
    """

    def __init__(self, base_url: str | Callable[[], str], who: str, *, key: str = "") -> None:
        self._base_url = base_url
        self.who = who
        address = httpx.URL(_ANY_PORT_HERE if callable(base_url) else base_url)
        # Compression would only hold back tokens.
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if key:
            headers["authorization"] = f"Bearer {key}"
        self._http = httpx.AsyncClient(
            headers=headers,
            transport=PlainTransport() if address.scheme == "http" else None,
            timeout=httpx.Timeout(_SILENCE_S, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=None, keepalive_expiry=_IDLE_S),
            # A proxy of the environment is for the outside, never between two processes of one machine.
            trust_env=not is_loopback_name(address.host),
        )

    @property
    def base_url(self) -> str:
        """Without a slash at its end."""
        return (self._base_url() if callable(self._base_url) else self._base_url).rstrip("/")

    async def stream(
        self, body: dict[str, Any], headers: Mapping[str, str], reader: ChatStreamReader
    ) -> AsyncGenerator[list[UpstreamEvent], None]:
        """Post a request to be streamed and yield the steps of each network read; the last is the end.

        `stream_options` of `body` are sent beside the one that asks for usage.
        """
        max_tokens = body.get("max_tokens") or 0
        options = {**(body.get("stream_options") or {}), "include_usage": True}
        async with self._posted({**body, "stream": True, "stream_options": options}, headers) as response:
            if response.status_code != 200:
                raw = await response.aread()
                raise fault_of_status(
                    response.status_code, raw, response.headers, self.who, max_tokens=max_tokens
                )
            content_type = response.headers.get("content-type", "")
            if content_type.startswith("application/json"):
                yield reader.take([await response.aread()], last=True)
                return
            if content_type.startswith("text/html"):
                raise fault_of_page(await response.aread(), self.who)
            events = SseReader()
            async for chunk in response.aiter_bytes():
                arrived = events.feed(chunk)
                # A few at a time: a flood must not hold back its own beginning.
                for start in range(0, len(arrived), _AT_ONCE):
                    if steps := reader.take(arrived[start : start + _AT_ONCE]):
                        yield steps
                    if reader.ended:
                        return
            yield reader.take(events.end(), last=True)

    async def call(self, method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A plain JSON call; `url` may be relative to the base URL."""
        response = await self.answer(method, url, body)
        if response.status_code != 200:
            raise fault_of_status(response.status_code, response.content, response.headers, self.who)
        return parse_json(response.content, self.who)

    async def answer(self, method: str, url: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """The answer to such a call, whatever its status."""
        if "://" not in url:
            url = f"{self.base_url}{url}"
        content = None if body is None else encode_json(body)
        try:
            return await self._http.request(method, url, content=content, timeout=60.0)
        except httpx.HTTPError as error:
            raise fault_of_connection(error, self.who) from error

    async def listed_models(self) -> list[dict[str, Any]]:
        """The entries of `GET /models`; each has an `id`."""
        listed = (await self.call("GET", "/models")).get("data")
        rows = listed if isinstance(listed, list) else []
        return [row for row in rows if isinstance(row, dict) and row.get("id")]

    async def model_ids(self) -> list[str]:
        """Ids of `GET /models`."""
        return [str(row["id"]) for row in await self.listed_models()]

    async def close(self) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def _posted(
        self, body: dict[str, Any], headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        url = f"{self.base_url}/chat/completions"
        try:
            async with self._http.stream(
                "POST", url, content=encode_json(body), headers=dict(headers)
            ) as response:
                yield response
        except httpx.HTTPError as error:
            raise fault_of_connection(error, self.who) from error
