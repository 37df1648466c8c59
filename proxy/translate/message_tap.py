"""Reads an Anthropic answer as it passes by: the message that its events add up to. Pure; changes nothing."""

from __future__ import annotations

import zlib
from typing import Any

import orjson

from engine.wire.sse import SseReader
from proxy.events.types import ErrorInfo, Usage

_USAGE_FIELDS = tuple(Usage.model_fields)
_WINDOW_BITS = {"gzip": 31, "deflate": 15}


class Decoder:
    """Undoes a response's `content-encoding` for the tap; bytes that it cannot read are left out."""

    def __init__(self, coding: str) -> None:
        self.readable = coding in ("", "identity", *_WINDOW_BITS)
        bits = _WINDOW_BITS.get(coding)
        self._inflate = zlib.decompressobj(bits) if bits else None

    def feed(self, data: bytes) -> bytes:
        if not self.readable or self._inflate is None:
            return data if self.readable else b""
        try:
            return self._inflate.decompress(data)
        except zlib.error:
            self.readable = False
            return b""


class MessageTap:
    """Assembles the message of one stream.

    `deltas` gathers (kind, text, tool) and `calls` the finished tool_use blocks until the caller takes them.
    """

    def __init__(self) -> None:
        self.started = False
        self.produced = False
        self.complete = False  # message_stop was seen
        self.error: ErrorInfo | None = None
        self.usage = Usage()
        self.deltas: list[tuple[str, str, str]] = []
        self.calls: list[dict[str, Any]] = []
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._json: dict[int, list[str]] = {}
        self._events = SseReader()

    def feed(self, data: bytes) -> None:
        """Read what has arrived; the cuts may be anywhere."""
        for event in self._events.feed(data):
            try:
                parsed = orjson.loads(event)
            except orjson.JSONDecodeError:
                continue
            try:
                self._read(parsed)
            except (KeyError, TypeError, ValueError, AttributeError):
                continue  # an event of a form that is not known yet must not stop those after it

    def feed_whole(self, data: bytes) -> None:
        """Read an answer that is no stream: a message, or an error body."""
        try:
            message = orjson.loads(data)
        except orjson.JSONDecodeError:
            return
        if not isinstance(message, dict):
            return
        if message.get("type") == "error":
            self._read_error(message)
            return
        self.started = self.produced = self.complete = True
        self._message = message
        self._count(message.get("usage"))
        content = message.get("content")
        blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
        self._blocks = dict(enumerate(blocks))
        self.calls = [block for block in blocks if block.get("type") == "tool_use"]

    def message(self) -> dict[str, Any] | None:
        """The message as far as it has come; None before its start."""
        if not self.started:
            return None
        content = [self._blocks[index] for index in sorted(self._blocks)]
        return self._message | {"content": content}

    @property
    def stop_reason(self) -> str:
        return str(self._message.get("stop_reason") or "")

    def _read(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "message_start":
                self.started = True
                self._message = dict(event.get("message") or {})
                self._count(self._message.get("usage"))
            case "content_block_start":
                self._blocks[int(event["index"])] = dict(event["content_block"])
            case "content_block_delta":
                self._delta(int(event["index"]), event["delta"])
            case "content_block_stop":
                self._close(int(event["index"]))
            case "message_delta":
                self._message |= event.get("delta") or {}
                self._count(event.get("usage"))
            case "message_stop":
                self.complete = True
            case "error":
                self._read_error(event)

    def _delta(self, index: int, delta: dict[str, Any]) -> None:
        self.produced = True
        block = self._blocks.setdefault(index, {})
        match delta.get("type"):
            case "text_delta":
                block["text"] = block.get("text", "") + delta["text"]
                self.deltas.append(("text", delta["text"], ""))
            case "thinking_delta":
                block["thinking"] = block.get("thinking", "") + delta["thinking"]
                self.deltas.append(("thinking", delta["thinking"], ""))
            case "signature_delta":
                block["signature"] = block.get("signature", "") + delta["signature"]
            case "input_json_delta":
                self._json.setdefault(index, []).append(delta["partial_json"])
                self.deltas.append(("tool", delta["partial_json"], str(block.get("name", ""))))

    def _close(self, index: int) -> None:
        block = self._blocks.get(index, {})
        pieces = self._json.pop(index, None)
        if pieces:
            try:
                block["input"] = orjson.loads("".join(pieces))
            except orjson.JSONDecodeError:
                block["input"] = {"_unparsed": "".join(pieces)}
        if block.get("type") == "tool_use":
            self.calls.append(block)

    def _read_error(self, event: dict[str, Any]) -> None:
        error = event.get("error")
        fields = error if isinstance(error, dict) else {}
        kind, message = fields.get("type") or "api_error", fields.get("message") or "no reason given"
        self.error = ErrorInfo(type=str(kind), message=str(message))

    def _count(self, usage: Any) -> None:
        """Later counts replace earlier ones: they are cumulative."""
        if isinstance(usage, dict):
            told = {name: usage[name] for name in _USAGE_FIELDS if isinstance(usage.get(name), int)}
            self.usage = self.usage.model_copy(update=told)
            self._message["usage"] = {**(self._message.get("usage") or {}), **usage}
