"""The feed chunks of a streaming answer: what an OpenAI stream has no words for.

They are sent only to a client that asks with the header `x-anyclaude-feed: 1`, as `data:` lines between the
OpenAI chunks: `{"object": "anyclaude.feed", "kind": ..., ...}`. This module imports no mlx, so that the
proxy can read what the engine writes.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

FEED_HEADER = "x-anyclaude-feed"
FEED_OBJECT = "anyclaude.feed"

FeedKind = Literal[
    "queued", "lookup", "prefill", "progress", "tool_open", "tool_raw", "note", "cache", "error"
]


class Miss(TypedDict):
    """Why less was reused: `reason` is cold, diverged, evicted or disabled, `segment` what lies there."""

    reason: str
    position: int
    segment: str
    before: str
    now: str


def feed_chunk(kind: FeedKind, **fields: Any) -> dict[str, Any]:
    """One feed chunk; the fields of each kind are listed in docs/architecture.md."""
    return {"object": FEED_OBJECT, "kind": kind, **fields}
