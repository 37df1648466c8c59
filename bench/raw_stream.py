"""An HTTP client with minimal overhead: it times a streamed answer on a bare socket.

An ordinary client takes longer for each delta than the measured difference.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_END = b"\r\n0\r\n\r\n"  # of a chunked body


@dataclass(frozen=True)
class StreamTiming:
    """Seconds from the start of sending to the first delta, the last one, and the end of the answer.

    `per_delta_s` is the time from the first delta to the end over the deltas after the first.
    """

    first_s: float
    last_s: float
    end_s: float
    deltas: int
    body: bytes

    @property
    def per_delta_s(self) -> float:
        return (self.end_s - self.first_s) / max(self.deltas - 1, 1)


class RawStream:
    """One connection, kept open over requests like a real client's."""

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        parts = urlsplit(url)
        self._host = f"{parts.hostname}:{parts.port}"
        self._socket = socket.create_connection((parts.hostname, parts.port or 80), timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def post(self, path: str, body: bytes, *, delta: bytes) -> StreamTiming:
        """Send a request and read its chunked answer; `delta` is what the event of each delta contains.

        Raises:
            RuntimeError: the answer is not 200, or has no delta.
        """
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer bench\r\nanthropic-version: 2023-06-01\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        received = bytearray()
        first = last = 0.0
        start = time.perf_counter()
        self._socket.sendall(head.encode() + body)
        while not received.endswith(_END):
            piece = self._socket.recv(1 << 18)
            now = time.perf_counter() - start
            seen = max(0, len(received) - len(delta))
            received += piece
            if received.find(delta, seen) >= 0:
                first, last = first or now, now
            if not piece or not received.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{path} was answered with {bytes(received[:400])!r}")
        if not first:
            raise RuntimeError(f"{path} was answered without a delta: {bytes(received[:400])!r}")
        end = time.perf_counter() - start
        return StreamTiming(first, last, end, received.count(delta), bytes(received))
