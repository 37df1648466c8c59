"""Places in a conversation that keep their names while it grows.

The place behind a turn is a digest of all turns up to it, in the one form that the client's ways to write the
same content have in common: a string and a list of text blocks are the same, and `cache_control` is nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from engine.wire.json_text import encode_json
from proxy.anthropic.prompt_prefix import joined_text, system_text

_DIGEST_BYTES = 12


def conversation_key(body: dict[str, Any]) -> str:
    """The same for all requests of a conversation: a digest of the system text and the first user turn."""
    first = next((turn for turn in body["messages"] if turn["role"] == "user"), None)
    return str(_grown(_begun(body), first).hexdigest())


def places_of(body: dict[str, Any]) -> list[str]:
    """The place behind each turn of a request."""
    digest = _begun(body)
    places = []
    for turn in body["messages"]:
        digest = _grown(digest, turn)
        places.append(digest.hexdigest())
    return places


def last_place(turns: Sequence[dict[str, Any]]) -> int:
    """The index of the turn that a request ends with; an answer that the client has begun is none."""
    return max(index for index, turn in enumerate(turns) if turn["role"] != "assistant")


def _begun(body: dict[str, Any]) -> Any:
    return hashlib.blake2b(system_text(body.get("system")).encode(), digest_size=_DIGEST_BYTES)


def _grown(digest: Any, turn: Any) -> Any:
    grown = digest.copy()
    grown.update(encode_json([turn["role"], _canonical(turn.get("content"))]) if turn else b"")
    return grown


def _canonical(content: Any) -> Any:
    """A turn's or a result's content: one string if it is all text, else its blocks."""
    if not isinstance(content, list):
        return content
    blocks: list[Any] = []
    texts: list[str] = []
    for block in content:
        if isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str):
            texts.append(block["text"])
            continue
        if texts:
            blocks.append(joined_text(texts))
            texts = []
        blocks.append(_plain(block))
    if texts:
        blocks.append(joined_text(texts))
    return blocks[0] if len(blocks) == 1 and isinstance(blocks[0], str) else blocks


def _plain(block: Any) -> Any:
    if not isinstance(block, dict):
        return block
    plain = {key: block[key] for key in sorted(block) if key != "cache_control"}
    if block.get("type") == "tool_result":
        plain["content"] = _canonical(plain.get("content"))
        plain["is_error"] = bool(plain.get("is_error"))
    return plain
