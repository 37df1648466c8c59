"""The bytes of Anthropic's server-sent events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.wire.json_text import encode_json
from proxy.events.types import Usage

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def event(kind: str, data: dict[str, Any]) -> bytes:
    """Any event; `kind` is also the data's `type`."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode_json({"type": kind, **data}))


def block_start(index: int, block: dict[str, Any]) -> bytes:
    return event("content_block_start", {"index": index, "content_block": block})


def block_stop(index: int) -> bytes:
    return b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % index


def delta_head(index: int, kind: str, field: str) -> bytes:
    """All of a delta event before its one JSON string: made once a block, as there is an event a token."""
    place = b'"index":%d,"delta":{"type":"%b","%b":' % (index, kind.encode(), field.encode())
    return b'event: content_block_delta\ndata: {"type":"content_block_delta",' + place


DELTA_TAIL = b"}}\n\n"


def usage_fields(usage: Usage, server_uses: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Anthropic's usage object; `server_uses`: how often the proxy has run its own tools, by their names."""
    fields: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "output_tokens": usage.output_tokens,
    }
    if server_uses and any(server_uses.values()):
        fields["server_tool_use"] = {
            f"{name}_requests": server_uses.get(name, 0) for name in ("web_search", "web_fetch")
        }
    return fields
