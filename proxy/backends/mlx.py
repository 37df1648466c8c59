"""The built-in engine: OpenAI's chat completions, and the engine feed, read as steps of the upstream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import quote

from engine.wire.abandoned import AbandonedAnswers, request_key
from engine.wire.chat import LANE_HEADER, RESUME_HEADER, SESSION_HEADER
from engine.wire.feed import FEED_HEADER, FEED_OBJECT, FeedPayload, Generated, StreamError, read_feed_chunk
from proxy.backends.chat_client import ChatClient
from proxy.backends.chat_stream import ChatStreamReader, parse_json
from proxy.backends.faults import ENGINE, error_in_stream, fault_of_status
from proxy.backends.upstream import Broken, Dialect, UpstreamEvent, UpstreamRequest
from proxy.events.errors import InvalidRequest, NotFound, UpstreamError, UpstreamUnavailable

_WHO = ENGINE
_MOST_SESSION_CHARACTERS = 120
_PATIENCE_S = 8.0  # with an engine that hangs: who asks the host gives up after 10 s
_NOT_THERE = ("no_such_entry", "no_cache")
_FEED_MARK = b'"anyclaude.feed"'

CacheAction = Literal["pin", "unpin", "drop", "flush"]


class MlxBackend:
    """The engine process of this machine."""

    name = "mlx"
    dialect = Dialect(
        system_turns=True,
        reasoning=True,
        top_k=True,
        thinking="engine",
        structured_calls=True,
        continues_answers=True,
        late_tools="marked",
    )

    def __init__(
        self, base_url: str | Callable[[], str], model: Callable[[], str], *, project_text: bool = False
    ) -> None:
        """`model` says which one the engine runs now; `project_text`: as in `Dialect`."""
        self.dialect = replace(type(self).dialect, project_text=project_text)
        self._client = ChatClient(base_url, _WHO)
        self._broken_off = AbandonedAnswers(time.monotonic)
        self._model = model
        self.patience_s = _PATIENCE_S

    async def stream(self, request: UpstreamRequest) -> AsyncGenerator[list[UpstreamEvent], None]:
        """As `Backend.stream`; what an engine that was killed had generated is given to the next one."""
        headers = {
            FEED_HEADER: "1",
            LANE_HEADER: request.lane,
            RESUME_HEADER: "1",
            SESSION_HEADER: quote(request.session[:_MOST_SESSION_CHARACTERS], safe=""),
            "x-request-id": request.request_id,
        }
        reader = EngineStreamReader.of_request(_WHO, request.body)
        key = request_key(request.body)
        known = self._broken_off.take(key)
        body = {**request.body, "resume_tokens": known} if known else request.body
        broken = False
        try:
            async with aclosing(self._client.stream(body, headers, reader)) as arrivals:
                async for steps in arrivals:
                    broken = isinstance(steps[-1], Broken)
                    yield steps
        except UpstreamError:
            broken = True
            raise
        finally:
            if broken and not reader.failed:
                self._broken_off.keep(key, max(reader.generated, known, key=len))

    async def model_name(self) -> str:
        return self._model()

    async def count_tokens(self, request: UpstreamRequest) -> int:
        body = {**request.body, "count_only": True}
        return int((await self._client.call("POST", "/tokenize", body))["count"])

    async def cache(self, action: CacheAction | None = None, **asked: str) -> dict[str, Any]:
        """What the engine's prefix cache answers: its holdings, or what was done for `action`.

        Raises:
            NotFound: it has no such entry, or the engine has no cache.
            InvalidRequest: it refuses, or the engine is of a version without it.
            UpstreamError: the engine is not there, or does not answer.
        """
        path = f"/cache/{action}" if action else "/cache"
        try:
            async with asyncio.timeout(self.patience_s):
                answer = await self._client.answer("POST" if action else "GET", path, asked or None)
        except TimeoutError:
            later = f": it may still {action} what was asked for" if action else ""
            raise UpstreamUnavailable(f"the engine does not answer{later}") from None
        if answer.status_code in (404, 409):
            error = parse_json(answer.content, _WHO).get("error")
            told = error if isinstance(error, dict) else {}
            if answer.status_code == 404 and told.get("code") not in _NOT_THERE:
                raise InvalidRequest(
                    "the engine that runs is of a version that tells nothing of its prefix cache: restart it"
                )
            refusal = NotFound if answer.status_code == 404 else InvalidRequest
            raise refusal(str(told.get("message", "")))
        if answer.status_code != 200:
            raise fault_of_status(answer.status_code, answer.content, answer.headers, _WHO)
        return parse_json(answer.content, _WHO)

    async def models(self) -> list[str]:
        return await self._client.model_ids()

    async def close(self) -> None:
        await self._client.close()


class EngineStreamReader(ChatStreamReader):
    """Reads the engine's stream: chat completion chunks, and feed chunks between them.

    `generated` are the tokens so far. `failed`: the engine reported why there are no more, so that it does
    not vouch for them.
    """

    def __init__(self, who: str, *, max_tokens: int = 0, stops: Collection[str] = ()) -> None:
        super().__init__(who, max_tokens=max_tokens, stops=stops)
        self.generated: list[int] = []
        self.failed = False

    def read(self, data: bytes) -> list[UpstreamEvent]:
        """The steps of one event.

        Raises:
            UpstreamError: the request failed in the middle.
        """
        if _FEED_MARK not in data:
            return super().read(data)
        chunk = parse_json(data, _WHO)
        if chunk.get("object") != FEED_OBJECT:  # a model may well write the mark itself
            return self.read_chunk(chunk)
        payload = _feed_payload(chunk)
        if isinstance(payload, Generated):
            self.generated += payload.tokens
            return []
        if isinstance(payload, StreamError):
            self.failed = True
            raise error_in_stream({"type": payload.type, "message": payload.message}, _WHO)
        return [payload] if payload is not None else []


def _feed_payload(chunk: dict[str, Any]) -> FeedPayload | None:
    try:
        return read_feed_chunk(chunk)
    except ValueError as error:
        raise UpstreamUnavailable(f"{_WHO} wrote a feed chunk that cannot be read: {error}") from error
