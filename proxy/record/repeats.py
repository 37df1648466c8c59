"""Finds out which request repeats one that failed or was cancelled: its messages are the same."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

from engine.wire.json_text import encode_json
from proxy.events.causes import CANCELLED_BY_YOU
from proxy.events.types import RequestReceived
from proxy.traces.schema import Trace

_MOST = 200  # failures that may still be repeated
_FALLBACK_S = 30.0  # after a stream that broke, Claude Code asks again without one, at once

_Key = tuple[str, str, str, int]  # who asks, and the number of messages


class Repeats:
    """The newest failures that nothing has repeated; messages are hashed where they may repeat one."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[_Key, bytes], str] = OrderedDict()  # the ids of failures
        self._cancelled: dict[tuple[_Key, bytes], float] = {}  # streams that a person ended, and when

    def ended(self, trace: Trace) -> None:
        """Keep a request that failed; its body must still be there."""
        messages, error = _messages(trace.request.body), trace.response.error
        if error is None or not messages:
            return
        key = (trace.session, trace.agent, trace.lane, len(messages))
        if trace.response.cancelled:
            if error.cause == CANCELLED_BY_YOU and trace.request.body.get("stream"):
                self._cancelled[key, _digest(messages)] = trace.time + (trace.timings.done or 0.0)
            return
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

    def is_cancelled(self, received: RequestReceived, body: Any, now: float) -> bool:
        """Whether it asks, without a stream, for what a person has just cancelled; `now`: epoch seconds."""
        for asked, ended in list(self._cancelled.items()):
            if now - ended > _FALLBACK_S:
                del self._cancelled[asked]
        if received.stream or not self._cancelled:
            return False
        messages = _messages(body)
        key = (received.session, received.agent, received.lane, len(messages))
        return self._cancelled.pop((key, _digest(messages)), None) is not None


def _messages(body: Any) -> list[Any]:
    messages = body.get("messages") if isinstance(body, dict) else None
    return messages if isinstance(messages, list) else []


def _digest(messages: list[Any]) -> bytes:
    return hashlib.blake2b(encode_json(messages), digest_size=16).digest()
