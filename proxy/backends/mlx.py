"""The built-in engine: OpenAI's chat completions, and the engine feed, read as steps of the upstream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

from engine.wire.chat import LANE_HEADER, RESUME_HEADER
from engine.wire.feed import FEED_HEADER, FEED_OBJECT, FeedPayload, StreamError, read_feed_chunk
from proxy.backends.chat_client import ChatClient
from proxy.backends.chat_stream import ChatStreamReader, parse_json
from proxy.backends.faults import error_in_stream
from proxy.backends.upstream import Dialect, UpstreamEvent, UpstreamRequest
from proxy.events.errors import UpstreamUnavailable

_WHO = "the engine"
_FEED_MARK = b'"anyclaude.feed"'


class MlxBackend:
    """The engine process of this machine."""

    name = "mlx"
    dialect = Dialect(
        system_turns=True,
        reasoning=True,
        top_k=True,
        template_switches=True,
        structured_calls=True,
        continues_answers=True,
        late_tools="marked",
    )

    def __init__(self, base_url: str | Callable[[], str], model: str) -> None:
        self._client = ChatClient(base_url, _WHO)
        self._model = model

    def stream(self, request: UpstreamRequest) -> AsyncGenerator[list[UpstreamEvent], None]:
        headers = {FEED_HEADER: "1", LANE_HEADER: request.lane, RESUME_HEADER: "1"}
        reader = EngineStreamReader.of_request(_WHO, request.body)
        return self._client.stream(request.body, headers, reader)

    async def model_name(self) -> str:
        return self._model

    async def count_tokens(self, request: UpstreamRequest) -> int:
        body = {**request.body, "count_only": True}
        return int((await self._client.call("POST", "/tokenize", body))["count"])

    async def models(self) -> list[str]:
        return await self._client.model_ids()

    async def close(self) -> None:
        await self._client.close()


class EngineStreamReader(ChatStreamReader):
    """Reads the engine's stream: chat completion chunks, and feed chunks between them."""

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
        if isinstance(payload, StreamError):
            raise error_in_stream({"type": payload.type, "message": payload.message}, _WHO)
        return [payload] if payload is not None else []


def _feed_payload(chunk: dict[str, Any]) -> FeedPayload | None:
    try:
        return read_feed_chunk(chunk)
    except ValueError as error:
        raise UpstreamUnavailable(f"{_WHO} wrote a feed chunk that cannot be read: {error}") from error
