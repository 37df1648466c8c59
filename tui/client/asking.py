"""Asks a host for an answer, as a client of the Anthropic API does, and takes the times.

The requests say by their user agent which command makes them, so that sums over traces can leave them out.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import httpx

from proxy.events.types import Usage
from proxy.traces.schema import OWN_AGENT
from tui.client.host_client import HostClient, HostError, describe, refusal

PATH = "/v1/messages"
_CONNECT_S = 10.0
_SILENCE_S = 120.0  # of a stream, in which a host sends a ping after 10 s
_CHARACTERS = 4  # a token, about
_WORDS = (
    "amber", "anchor", "basin", "beacon", "canyon", "cedar", "cobalt", "copper", "delta", "ember", "engine",
    "fable", "falcon", "garnet", "glacier", "harbor", "indigo", "island", "jasper", "kernel", "lantern",
    "lemon", "marble", "meadow", "nectar", "needle", "opal", "orchard", "pepper", "pilot", "quartz",
    "quiver", "raven", "ribbon", "saddle", "signal", "timber", "tunnel", "umber", "valley", "velvet",
    "willow", "window", "yarrow", "zephyr", "zinc",
)  # fmt: skip

Sender = Literal["verify", "doctor", "replay"]
"""The command that asks."""


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


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An answer that came in one piece, after `took_s` seconds; `refusal` is empty if it is one."""

    status: int
    body: Any  # parsed; None where it is no JSON
    refusal: str
    took_s: float
    request_id: str = ""  # of its trace


async def ask_whole(
    client: HostClient,
    body: Mapping[str, Any],
    *,
    sender: Sender,
    query: str = "",
    patience_s: float | None = None,
) -> WholeAnswer:
    """Ask for one answer in one piece, and wait `patience_s` for it, by default without an end.

    Raises:
        HostError: the host cannot be reached, or there is no answer in that time.
    """
    began = time.monotonic()
    whole = {**body, "stream": False}
    async with _posted(client, whole, sender, query=query, silence_s=patience_s) as response:
        text = await response.aread()
    request_id = response.headers.get("request-id", "")
    refused = refusal(response.status_code, response.text) if response.status_code >= 400 else ""
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    return WholeAnswer(response.status_code, parsed, refused, time.monotonic() - began, request_id)


@asynccontextmanager
async def _posted(
    client: HostClient,
    body: Mapping[str, Any],
    sender: Sender,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    silence_s: float | None = _SILENCE_S,
) -> AsyncIterator[httpx.Response]:
    """What answers a message, as it comes.

    Raises:
        HostError: the host cannot be reached, or the answer breaks off.
    """
    sent = {"anthropic-version": "2023-06-01", "user-agent": OWN_AGENT + sender, **(headers or {})}
    timeout = httpx.Timeout(silence_s, connect=_CONNECT_S)
    try:
        async with client.http.stream(
            "POST", PATH, params=query or None, json=body, headers=sent, timeout=timeout
        ) as response:
            yield response
    except httpx.HTTPError as error:
        raise HostError(f"{client.url}: {describe(error)}") from None


async def ask(
    client: HostClient, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> StreamedAnswer:
    """Stream one answer, for a check.

    Raises:
        HostError: the host cannot be reached, or the stream breaks.
    """
    answer = StreamedAnswer()
    began = time.monotonic()
    try:
        async with _posted(client, {**body, "stream": True}, "verify", headers=headers) as response:
            answer.request_id = response.headers.get("request-id", "")
            if response.status_code >= 400:
                text = (await response.aread()).decode("utf-8", "replace")
                answer.error = refusal(response.status_code, text)
                return answer
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    _apply(answer, json.loads(line[5:]), time.monotonic() - began)
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


def made_up_prompt(tokens: int, nonce: str) -> str:
    """About so many tokens, and always as many characters; no two share more than a mark or two."""
    random = Random(nonce)
    text = f"{nonce} is the number of these rules."
    line = 0
    while len(text) < tokens * _CHARACTERS:
        line += 1
        words = " ".join(random.choice(_WORDS) for _ in range(10))
        text += f"\n{line}. {words}."
    return text[: tokens * _CHARACTERS]
