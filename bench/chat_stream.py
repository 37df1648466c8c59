"""Streams a chat completion from any OpenAI-compatible server, and times its parts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from engine.wire.sse import sse_data

TIMEOUT_S = 600.0


@dataclass(frozen=True)
class ChatTiming:
    """Seconds from sending a request to the first text, the last text and the end."""

    first_s: float
    last_s: float
    end_s: float


def chat_body(messages: list[dict[str, Any]], max_tokens: int) -> dict[str, Any]:
    """A greedy request that both the engine and `mlx_lm.server` accept."""
    return {
        "model": "default_model",
        "messages": messages,
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": True,
    }


def stream_chat(
    url: str,
    body: dict[str, Any],
    *,
    headers: Mapping[str, str] | None = None,
    on_data: Callable[[dict[str, Any]], None] = lambda _: None,
) -> ChatTiming:
    """Send a request and read its stream to the end; `on_data` gets each object when it arrives.

    Raises:
        RuntimeError: the answer has no text.
    """
    first = last = 0.0
    began = time.perf_counter()
    with (
        httpx.Client(trust_env=False, timeout=TIMEOUT_S) as http,
        http.stream("POST", f"{url}/v1/chat/completions", json=body, headers=dict(headers or {})) as answer,
    ):
        answer.raise_for_status()
        for event in sse_data(answer.iter_bytes()):
            if event == b"[DONE]":
                continue
            now = time.perf_counter() - began
            data = json.loads(event)
            on_data(data)
            if any(choice.get("delta", {}).get("content") for choice in data.get("choices", ())):
                first, last = first or now, now
    if not first:
        raise RuntimeError(f"{url} answered without text")
    return ChatTiming(first, last, time.perf_counter() - began)
