"""Asks a host for one streamed answer, as a client of the Anthropic API does, and takes the times."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from proxy.events.types import Usage
from tui.client.host_client import HostClient, HostError, describe, refusal

PATH = "/v1/messages"
_HEADERS = {"anthropic-version": "2023-06-01", "user-agent": "anyclaude-tui-verify"}
_CONNECT_S = 10.0
_SILENCE_S = 120.0  # a host sends a ping after 10 s


@dataclass(slots=True)
class StreamedAnswer:
    """One answer: its content blocks, counts and times in seconds; with `error` it is not whole."""

    request_id: str = ""  # of its trace
    error: str = ""
    usage: Usage = field(default_factory=Usage)
    ttft_s: float = 0.0
    took_s: float = 0.0
    blocks: list[dict[str, Any]] = field(default_factory=list)
    stop_reason: str = ""

    @property
    def text(self) -> str:
        """All text, without thoughts."""
        return "".join(block["text"] for block in self.blocks if block["type"] == "text")

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The calls, each with `id`, `name` and `input`: None where that is no JSON object."""
        return [block for block in self.blocks if block["type"] == "tool_use"]


async def ask(
    client: HostClient, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> StreamedAnswer:
    """Stream one answer.

    Raises:
        HostError: the host cannot be reached, or the stream breaks.
    """
    answer = StreamedAnswer()
    began = time.monotonic()
    timeout = httpx.Timeout(_SILENCE_S, connect=_CONNECT_S)
    sent = {**_HEADERS, **(headers or {})}
    try:
        async with client.http.stream(
            "POST", PATH, json={**body, "stream": True}, headers=sent, timeout=timeout
        ) as response:
            answer.request_id = response.headers.get("request-id", "")
            if response.status_code >= 400:
                text = (await response.aread()).decode("utf-8", "replace")
                answer.error = refusal(response.status_code, text)
                return answer
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    _apply(answer, json.loads(line[5:]), time.monotonic() - began)
    except httpx.HTTPError as error:
        raise HostError(f"{client.url}: {describe(error)}") from None
    except (ValueError, KeyError, IndexError, TypeError):
        raise HostError(f"{client.url}: the stream is not that of the Anthropic API") from None
    answer.took_s = time.monotonic() - began
    answer.ttft_s = answer.ttft_s or answer.took_s
    if not answer.error and not answer.stop_reason:
        answer.error = "the stream ended without a verdict"
    return answer


def _apply(answer: StreamedAnswer, event: dict[str, Any], now: float) -> None:
    match event["type"]:
        case "message_start":
            _count(answer, event["message"].get("usage"))
        case "content_block_start":
            block = dict(event["content_block"])
            answer.blocks.append(block | {"json": ""} if block["type"] == "tool_use" else block)
        case "content_block_delta":
            answer.ttft_s = answer.ttft_s or now
            block, delta = answer.blocks[event["index"]], event["delta"]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "input_json_delta":
                    block["json"] += delta["partial_json"]
        case "content_block_stop":
            block = answer.blocks[event["index"]]
            if block["type"] == "tool_use":
                block["input"] = _object(block.pop("json") or "{}")
        case "message_delta":
            answer.stop_reason = event["delta"].get("stop_reason") or ""
            _count(answer, event.get("usage"))
        case "error":
            answer.error = str(event["error"]["message"])


def _count(answer: StreamedAnswer, counts: object) -> None:
    """Later counts are the final ones; those that are left out stay as they were."""
    if isinstance(counts, dict):
        known = {name: value for name, value in counts.items() if isinstance(value, int)}
        answer.usage = Usage.model_validate(answer.usage.model_dump() | known)


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
