"""The built-in engine: OpenAI's chat completions, and the feed that tells of lookup, queue and prefill."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

from engine.wire.chat import LANE_HEADER
from engine.wire.feed import FEED_HEADER, FEED_OBJECT
from proxy.backends.chat_client import ChatClient
from proxy.backends.chat_stream import ChatStreamReader, parse_json
from proxy.backends.faults import error_in_stream
from proxy.backends.upstream import (
    CacheChanged,
    Dialect,
    Lookup,
    Note,
    Prefill,
    Progress,
    Queued,
    ToolCallOpen,
    ToolCallRaw,
    UpstreamEvent,
    UpstreamRequest,
)
from proxy.events.types import CacheChange, CacheMiss, CacheVerdict

_WHO = "the engine"
_FEED_MARK = b'"anyclaude.feed"'


class MlxBackend:
    """The engine process of this machine."""

    name = "mlx"
    dialect = Dialect(
        system_turns=True, reasoning=True, top_k=True, template_switches=True, structured_calls=True
    )

    def __init__(self, base_url: str | Callable[[], str], model: str) -> None:
        self._client = ChatClient(base_url, _WHO)
        self._model = model

    def stream(self, request: UpstreamRequest) -> AsyncGenerator[list[UpstreamEvent], None]:
        headers = {FEED_HEADER: "1", LANE_HEADER: request.lane}
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
        if chunk["kind"] == "error":
            raise error_in_stream({"error": chunk}, _WHO)
        step = feed_step(chunk)
        return [step] if step is not None else []


def feed_step(chunk: dict[str, Any]) -> UpstreamEvent | None:
    """One feed chunk as a step; None for a kind that this version does not know."""
    match chunk["kind"]:
        case "queued":
            return Queued(chunk["position"], chunk["waiting_s"])
        case "lookup":
            return Lookup(_verdict(chunk))
        case "prefill":
            return Prefill(chunk["done"], chunk["total"], chunk["cached"])
        case "progress":
            return Progress(chunk["output_tokens"], chunk.get("text", ""))
        case "tool_open":
            return ToolCallOpen(chunk["index"], chunk.get("family", ""))
        case "tool_raw":
            return _raw_call(chunk)
        case "note":
            return Note(chunk["text"])
        case "cache":
            return _cache_changed(chunk)
    return None


def _verdict(chunk: dict[str, Any]) -> CacheVerdict:
    miss = chunk.get("miss")
    return CacheVerdict(
        prompt_tokens=chunk["prompt_tokens"],
        matched_tokens=chunk["matched_tokens"],
        kept_tokens=chunk["kept_tokens"],
        restore_s=chunk.get("restore_s", 0.0),
        tier=chunk["tier"],
        miss=CacheMiss.model_validate(miss) if miss else None,
    )


def _raw_call(chunk: dict[str, Any]) -> ToolCallRaw:
    """An engine of an earlier version tells index and raw text alone."""
    return ToolCallRaw(
        chunk["index"],
        chunk["raw"],
        tokens=tuple(chunk.get("tokens") or ()),
        family=chunk.get("family") or "",
        constrained=chunk.get("constrained"),
        relaxed=chunk.get("relaxed") or "",
        repairs=tuple(chunk.get("repairs") or ()),
    )


def _cache_changed(chunk: dict[str, Any]) -> CacheChanged | None:
    change = CacheChange.model_validate(chunk)
    match chunk["event"]:
        case "inserted":
            return CacheChanged("cache.inserted", change)
        case "evicted":
            return CacheChanged("cache.evicted", change)
        case "restored":
            return CacheChanged("cache.restored", change)
        case "saved":
            return CacheChanged("cache.saved", change)
        case "loaded":
            return CacheChanged("cache.loaded", change)
        case "set_aside":
            return CacheChanged("cache.set_aside", change)
    return None
