"""Clients of a host, in a process of their own: they read answers all the time and time each delta.

    python -m bench.screen.stream_reader    settings on stdin: {"url": …, "streams": 8, "apart_s": 1.2}

Each further line on stdin, `{"seconds": 4}`, is answered with `{"gaps_ms": […]}`: the times between two
deltas of an answer, of those that came within these seconds. Deltas of one read have none between them. The
first answers begin `apart_s` after each other, so that they do not all end at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from bench.claude_request import anthropic_body
from engine.process.parent_watch import announce, read_settings

_DELTA, _END = b'"text_delta"', b"\r\n0\r\n\r\n"  # of a delta's event, and of a chunked body
_PIECE = 1 << 18


class TimedReader:
    """Streams that are read at once; `gaps_ms` grows while `is_timing`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self.gaps_ms: list[float] = []
        self.is_timing = False

    async def read(self, session: int, after_s: float) -> None:
        """Ask for one answer after the other, as one session, until cancelled.

        Raises:
            RuntimeError: the host refuses, or ends the connection.
        """
        await asyncio.sleep(after_s)
        reader, writer = await asyncio.open_connection(self._host, self._port)
        request = self._request(session)
        try:
            while True:
                writer.write(request)
                await self.read_answer(reader)
        finally:
            writer.close()

    async def read_answer(self, reader: asyncio.StreamReader) -> None:
        """Read one answer.

        Raises:
            RuntimeError: it is none, or breaks off.
        """
        last, tail, begun = 0.0, b"", False
        while not tail.endswith(_END):
            piece = await reader.read(_PIECE)
            now = time.perf_counter()
            if not piece or not (begun or piece.startswith(b"HTTP/1.1 200")):
                raise RuntimeError(f"a stream was answered with {piece[:400]!r}")
            begun = True
            # Too short to have a whole mark, the tail only completes one that came in two reads.
            deltas = (tail[-len(_DELTA) + 1 :] + piece).count(_DELTA)
            tail = (tail + piece)[-max(len(_DELTA), len(_END)) :]
            if deltas:
                if last and self.is_timing:
                    self.gaps_ms += [1e3 * (now - last), *[0.0] * (deltas - 1)]
                last = now

    def _request(self, session: int) -> bytes:
        body: dict[str, Any] = anthropic_body("instant", seed=session)
        body["metadata"] = {
            "user_id": json.dumps({"session_id": f"{session:08d}-0000-4000-8000-000000000001"})
        }
        data = json.dumps(body).encode()
        head = (
            f"POST /v1/messages?beta=true HTTP/1.1\r\nhost: {self._host}:{self._port}\r\n"
            f"content-type: application/json\r\nauthorization: Bearer bench\r\n"
            f"anthropic-version: 2023-06-01\r\ncontent-length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data


async def _main() -> None:
    settings = read_settings()
    timed = TimedReader(str(settings["url"]))
    streams = [
        asyncio.create_task(timed.read(number, number * float(settings["apart_s"])))
        for number in range(int(settings["streams"]))
    ]
    announce(listening="")
    while line := await asyncio.to_thread(sys.stdin.readline):
        timed.gaps_ms, timed.is_timing = [], True
        await asyncio.sleep(float(json.loads(line)["seconds"]))
        timed.is_timing = False
        for stream in streams:
            if stream.done():
                stream.result()
        announce(gaps_ms=timed.gaps_ms)
    for stream in streams:
        stream.cancel()


if __name__ == "__main__":
    asyncio.run(_main())
