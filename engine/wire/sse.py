"""Server-sent events out of network reads, for every client of ours (WHATWG HTML, "Server-sent events").

Events are split on the bytes: a JSON string may hold U+2028 and its like, at which splitters of text cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class SseReader:
    """Splits a byte stream into the data of its events; a read may end within a character or an event.

    An event that is longer than `limit` bytes and has no end yet is dropped.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._rest: list[bytes] = []  # in the pieces in which it came
        self._size = 0  # of the rest

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of each event that is complete with this chunk."""
        if b"\n" not in chunk:  # it ends no event: one of megabytes is put together once, not for each piece
            self._keep(chunk)
            return []
        buffer = self._taken() + chunk if self._rest else chunk
        if b"\r" in buffer:
            buffer = buffer.replace(b"\r\n", b"\n")
        events = buffer.split(b"\n\n")
        self._keep(events.pop())
        return [data for event in events if (data := _data(event))]

    def end(self) -> list[bytes]:
        """What is left when the stream ends without the empty line that closes an event."""
        data = _data(self._taken().rstrip(b"\r\n"))
        return [data] if data else []

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._rest.append(piece)
            self._size += len(piece)
        if self._limit is not None and self._size > self._limit:
            self._taken()

    def _taken(self) -> bytes:
        rest, self._rest, self._size = b"".join(self._rest), [], 0
        return rest


def sse_data(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The data of each event of a stream, as it comes."""
    reader = SseReader()
    for chunk in chunks:
        yield from reader.feed(chunk)
    yield from reader.end()


def _data(event: bytes) -> bytes:
    """The joined `data` lines of one event; empty for comments."""
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].strip()
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines).strip()
