from __future__ import annotations

import asyncio
import json

import pytest

from proxy.events.bus import BusReader, EventBus
from proxy.events.types import Event, EventData, HostNotice, Lost, RequestDelta, RequestToolCall
from tests.ticks import TICKS, cancelled_beside


def say(bus: EventBus, *texts: str) -> None:
    for text in texts:
        bus.publish("host.notice", HostNotice(text=text))


async def texts(reader: BusReader) -> list[str]:
    return [json.loads(event.json)["data"].get("text") for event in await reader.next(timeout=1)]


async def test_an_event_goes_over_the_wire_as_documented() -> None:
    bus = EventBus(clock=lambda: 1790000000.1234)
    reader = bus.follow()
    bus.publish("request.delta", RequestDelta(text="Grüße", output_tokens=3), "req_1")
    [published] = await reader.next()
    event = Event.model_validate_json(published.json)
    assert (event.seq, event.time, event.type, event.request) == (1, 1790000000.123, "request.delta", "req_1")
    assert event.payload() == RequestDelta(text="Grüße", output_tokens=3)
    assert published.seq == 1


async def test_a_reader_gets_what_comes_after_it_joined() -> None:
    bus = EventBus()
    say(bus, "before")
    reader = bus.follow()
    say(bus, "a", "b")
    assert await texts(reader) == ["a", "b"]


async def test_a_waiting_reader_is_woken_by_the_next_event() -> None:
    bus = EventBus()
    reader = bus.follow()
    waiting = asyncio.create_task(texts(reader))
    await asyncio.sleep(0)
    say(bus, "now")
    assert await waiting == ["now"]


async def test_since_replays_what_is_still_held() -> None:
    bus = EventBus()
    say(bus, "a", "b", "c")
    assert await texts(bus.follow(since=0)) == ["a", "b", "c"]
    assert await texts(bus.follow(since=2)) == ["c"]


async def test_a_number_of_an_earlier_host_replays_everything() -> None:
    bus = EventBus()
    say(bus, "a")
    assert await texts(bus.follow(since=4711)) == ["a"]


async def test_a_slow_reader_is_told_how_much_it_lost_and_goes_on() -> None:
    bus = EventBus(keep_events=3)
    losses: list[int] = []
    bus.listen_to_losses(losses.append)
    reader = bus.follow()
    say(bus, *"abcdefgh")
    events = [Event.model_validate_json(event.json) for event in await reader.next()]
    assert (events[0].type, events[0].payload(), events[0].seq) == ("host.lost", Lost(count=5), 5)
    assert [event.data["text"] for event in events[1:]] == ["f", "g", "h"]
    assert losses == [5]
    say(bus, "i")
    assert await texts(reader) == ["i"]


async def test_a_fast_reader_loses_nothing_beside_a_slow_one() -> None:
    bus = EventBus(keep_events=2)
    fast, slow = bus.follow(), bus.follow()
    got = []
    for letter in "abcdef":
        say(bus, letter)
        got += await texts(fast)
    assert got == list("abcdef")
    assert json.loads((await slow.next())[0].json)["data"] == {"count": 4}


async def test_the_memory_is_bounded_in_bytes_too() -> None:
    bus = EventBus(keep_bytes=10_000)
    for _ in range(50):
        say(bus, "x" * 1000)
    assert bus.seq == 50
    assert 5 <= bus.seq - bus.first_seq + 1 <= 9


async def test_one_event_larger_than_the_memory_is_counted_as_lost() -> None:
    bus = EventBus(keep_bytes=100)
    reader = bus.follow()
    say(bus, "x" * 1000)
    assert [event.type for event in await reader.next()] == ["host.lost"]


async def test_large_backlogs_are_handed_out_in_pieces() -> None:
    bus = EventBus()
    say(bus, *["x" * 100_000] * 10)
    reader = bus.follow(since=0)
    sizes = []
    while events := await reader.next(timeout=0.01):
        sizes.append(len(events))
    assert sum(sizes) == 10
    assert max(sizes) < 4


async def test_closing_ends_readers_after_what_is_held() -> None:
    bus = EventBus()
    reader = bus.follow()
    say(bus, "last")
    bus.close()
    assert not reader.ended
    assert await texts(reader) == ["last"]
    assert reader.ended
    assert await reader.next() == []


async def test_nothing_to_tell_within_the_timeout_is_an_empty_answer() -> None:
    assert await EventBus().follow().next(timeout=0.001) == []


async def test_listeners_hear_each_event_with_its_payload() -> None:
    bus = EventBus()
    heard: list[tuple[str, str | None, EventData]] = []
    bus.listen(lambda *event: heard.append(event))
    notice = HostNotice(text="a")
    bus.publish("host.notice", notice, "req_1")
    assert heard == [("host.notice", "req_1", notice)]


async def test_wire_text_that_is_no_valid_unicode_does_not_stop_the_feed() -> None:
    bus = EventBus()
    reader = bus.follow()
    bus.publish("request.delta", RequestDelta(text="a\ud800b"))
    bus.publish("request.tool_call", RequestToolCall(tool_use_id="t", name="n", input={"n": 10**30}))
    first, second = [json.loads(event.json) for event in await reader.next()]
    assert first["data"]["text"] == "a�b"
    assert second["data"]["input"] == {"n": 10**30}


@pytest.mark.parametrize("ticks", TICKS)
async def test_a_reader_that_is_cancelled_in_the_tick_of_an_event_ends_and_loses_nothing(ticks: int) -> None:
    bus = EventBus()
    reader = bus.follow()

    async def follow() -> None:
        while not got:
            got.extend(await reader.next(timeout=60))

    got: list[object] = []
    await cancelled_beside(follow(), lambda: say(bus, "now"), ticks)
    assert got or await texts(reader) == ["now"]
