"""Finds out which request repeats one that failed: clients say nothing of it, but send the same messages."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

from engine.wire.json_text import encode_json
from proxy.events.types import RequestReceived
from proxy.traces.schema import Trace

_MOST = 200  # failures that may still be repeated

_Key = tuple[str, str, str, int]  # who asks, and the number of messages


class Repeats:
    """The newest failures that nothing has repeated; messages are hashed where they may repeat one."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[_Key, bytes], str] = OrderedDict()  # the ids of failures

    def ended(self, trace: Trace) -> None:
        """Keep a request that failed; its body must still be there."""
        messages = _messages(trace.request.body)
        if trace.response.error is None or trace.response.cancelled or not messages:
            return
        key = (trace.session, trace.agent, trace.lane, len(messages))
        self._open[key, _digest(messages)] = trace.id
        if len(self._open) > _MOST:
            self._open.popitem(last=False)

    def of(self, received: RequestReceived, body: Any) -> str:
        """The id of the failed request that this one repeats, once; empty if it repeats none."""
        messages = _messages(body)
        key = (received.session, received.agent, received.lane, len(messages))
        if not messages or all(key != known for known, _ in self._open):
            return ""
        return self._open.pop((key, _digest(messages)), "")


def _messages(body: Any) -> list[Any]:
    messages = body.get("messages") if isinstance(body, dict) else None
    return messages if isinstance(messages, list) else []


def _digest(messages: list[Any]) -> bytes:
    return hashlib.blake2b(encode_json(messages), digest_size=16).digest()
