"""Server-sent events out of network reads: the reader that all backends share."""

from __future__ import annotations


class EventReader:
    """Splits a byte stream into the data of its events; a character or an event may be cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of each event that is complete with this chunk."""
        buffer = self._rest + chunk if self._rest else chunk
        if b"\r" in buffer:
            buffer = buffer.replace(b"\r\n", b"\n")
        events = buffer.split(b"\n\n")
        self._rest = events.pop()
        return [data for event in events if (data := _data(event))]

    def end(self) -> list[bytes]:
        """What is left when the stream ends without the empty line that closes an event."""
        rest, self._rest = self._rest, b""
        data = _data(rest.rstrip(b"\r\n"))
        return [data] if data else []


def _data(event: bytes) -> bytes:
    """The joined `data` lines of one event; empty for comments."""
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].strip()
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines).strip()
