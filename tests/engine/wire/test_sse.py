"""Server-sent events are read in all their forms, wherever the network cuts them."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wire.sse import SseReader, sse_data


@given(st.data())
def test_events_are_the_same_however_the_bytes_are_cut(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.text(min_size=1, max_size=8), max_size=5))
    end = data.draw(st.sampled_from([b"\n\n", b"\r\n\r\n"]))
    events = [orjson.dumps({"text": text}) for text in texts]
    wire = b": hello" + end + b"".join(b"data: " + event + end for event in events)
    reader, found = SseReader(), []
    while wire:
        size = data.draw(st.integers(1, len(wire)))
        found += reader.feed(wire[:size])
        wire = wire[size:]
    assert [*found, *reader.end()] == events


@pytest.mark.parametrize(
    ("wire", "events"),
    [
        (b"data:{}\n\n", [b"{}"]),
        (b"event: x\nid: 4\ndata: {}\n\n", [b"{}"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b": comment\n\n", []),
        (b"data: a\n\ndata:b\r\n\r\n", [b"a", b"b"]),
        ("data: \u2028 \x85\n\n".encode(), ["\u2028 \x85".encode()]),
        (b"data: {}", [b"{}"]),
        (b"data: {}\r\n", [b"{}"]),
    ],
)
def test_all_forms_of_events_are_read(wire: bytes, events: list[bytes]) -> None:
    assert list(sse_data([wire])) == events


def test_an_event_without_end_is_dropped_at_the_limit() -> None:
    reader = SseReader(limit=120)
    chunks = [b"data: ", b"x" * 100, b"y" * 100, b"\n\ndata: next\n\n"]
    assert [data for chunk in chunks for data in reader.feed(chunk)] == [b"next"]


def test_an_event_of_many_pieces_is_put_together_once() -> None:
    joined: list[int] = []

    class Counting(SseReader):
        def _taken(self) -> bytes:
            rest = super()._taken()
            joined.append(len(rest))
            return rest

    reader = Counting()
    chunks = [b"data: ", *[b"x" * 100] * 1000, b"\n\n"]
    [event] = [data for chunk in chunks for data in reader.feed(chunk)]
    assert len(event) == 100_000
    assert sum(joined) <= 2 * len(event)
