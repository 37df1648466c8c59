from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.recordings.format import Recording
from proxy.recordings.reading import unpacked_recording
from proxy.recordings.writing import RecordingWriter
from tests.tui.client.recording.recorded_host import CACHE, demo_host
from tests.tui.demo.plot import demo
from tests.tui.demo.story import START
from tests.tui.scripted_host import ScriptedHost, scripted_host
from tui.client.host_client import HostClient, HostError
from tui.client.recording.player import Player
from tui.client.recording.taking import ASKED_AGAIN_S, RecordingTaker, RecordingWish, Taken
from tui.client.records import Snapshot
from tui.client.store import Store


class Take:
    """One recording in the making, of a host."""

    def __init__(self, host: ScriptedHost, wish: RecordingWish) -> None:
        self.file = io.BytesIO()
        self.client = HostClient(host.url, host.token)
        self.writer = RecordingWriter(self.file, version="0.1.0", made=START)
        self.taker = RecordingTaker(self.client, self.writer, wish, clock=lambda: START + 130)

    async def __aenter__(self) -> RecordingTaker:
        return self.taker

    async def __aexit__(self, *exc: Any) -> None:
        await self.client.close()
        self.writer.close()

    def read(self) -> Recording:
        self.file.seek(0)
        return unpacked_recording(self.file, Path("taken"))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedHost]:
    """The host of the demo; no test changes it."""
    with demo_host(demo(), tmp_path_factory.mktemp("marks")) as host:
        yield host


async def held(host: ScriptedHost, wish: RecordingWish) -> tuple[Recording, Taken]:
    take = Take(host, wish)
    async with take as taker:
        await taker.take_held()
        await taker.finish()
    return take.read(), taker.taken


def at_end(recording: Recording) -> Snapshot:
    player, store = Player(recording), Store()
    player.playing = False
    player.seek(player.end)
    for item in player.due(1 << 30)[1]:
        store.take(item)
    return store.snapshot()


async def test_what_a_host_has_is_played_as_the_host_told_it(host: ScriptedHost) -> None:
    story = demo()
    recording, taken = await held(host, RecordingWish())
    direct = Store()
    for event in story.events():
        direct.apply(event)
    assert at_end(recording).requests == direct.snapshot().requests
    assert at_end(recording).lost == 0
    assert recording.rows.keys() == {trace.id for trace in story.traces()}
    failed = {trace.id for trace in story.traces() if trace.response.status == 529}
    assert recording.traces.keys() == failed  # the demo marks them
    assert [trace.id for trace in taken.traces] == list(recording.traces)
    assert taken.left_out == []
    assert [answer.body for _, answer in recording.answers["/anyclaude/cache"]] == [CACHE] * 2


async def test_minutes_and_single_traces_are_chosen(host: ScriptedHost) -> None:
    story = demo()
    wanted = story.traces()[0].id
    wish = RecordingWish(minutes=0.5, traces=[wanted, "req_000000000000"], marked=False)
    recording, taken = await held(host, wish)
    assert recording.traces.keys() == {wanted}
    assert len(taken.left_out) == 1
    assert "req_000000000000" in taken.left_out[0]
    assert len(recording.moments) < len(story.events()) / 2
    # The ones that run then are whole, and no other is there.
    assert {record.received >= START + 90 for record in at_end(recording).requests} == {True}


async def test_a_trace_that_is_too_large_takes_no_room_of_others(
    host: ScriptedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces = sorted(demo().traces(), key=lambda trace: len(trace.model_dump_json()))
    small, large = traces[0], traces[-1]
    monkeypatch.setattr("tui.client.recording.taking.MOST_BODIES", len(large.model_dump_json()) // 2)
    wish = RecordingWish(traces=[large.id, small.id], marked=False)
    recording, taken = await held(host, wish)
    assert recording.traces.keys() == {small.id}
    assert [large.id in left for left in taken.left_out] == [True]


async def test_without_contents_no_text_leaves_the_host(host: ScriptedHost) -> None:
    recording, _ = await held(host, RecordingWish("none"))
    (_, answer), *_ = recording.answers["/anyclaude/cache"]
    assert answer.body == {"entries": [{"id": "k1", "prompt": "[18 characters]"}]}
    assert all("json" not in row.preview for row in recording.rows.values())
    assert {record.output_tokens for record in at_end(recording).requests} > {8, 99}


async def test_the_token_is_in_no_recording() -> None:
    with scripted_host(token="our-own-token-8412") as host:
        host.emit("host.notice", {"text": "it is our-own-token-8412"})
        host.engine_log = ["our-own-token-8412"]
        take = Take(host, RecordingWish(secrets=[host.token]))
        async with take as taker:
            await taker.take_held()
    recording = take.read()
    notices = [moment.what for moment in recording.moments if isinstance(moment.what, bytes)]
    assert any(b"it is [redacted]" in one for one in notices)
    assert not any(b"8412" in one for one in notices)
    assert "8412" not in str(recording.moments[0].what)


async def test_it_goes_on_with_what_comes_over_breaks_and_a_new_host() -> None:
    with scripted_host() as host:
        host.emit("request.received", {"preview": "one"}, "req_1")
        take = Take(host, RecordingWish())
        async with take as taker:
            await taker.take_held()
            following = asyncio.create_task(taker.take_on(flushed_s=0))
            host.emit("request.delta", {"kind": "text", "text": "a"}, "req_1")
            await until(lambda: take.writer.events == 1)
            host.emit("request.finished", {"status": 200}, "req_1")
            await until(lambda: take.writer.events == 3)
            await asyncio.to_thread(host.begin_anew)
            host.emit("request.received", {"preview": "two"}, "req_2")
            await until(lambda: take.writer.events == 4)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await taker.finish()  # this host has no list of traces
        recording = take.read()
    assert taker.taken.left_out[0].startswith("the list of traces: ")
    snapshot = at_end(recording)
    assert [record.preview for record in snapshot.requests] == ["two"]
    assert (snapshot.link.state, snapshot.link.recorded, snapshot.lost) == ("live", True, 0)


async def test_an_engine_that_had_no_answer_is_asked_again_soon() -> None:
    with scripted_host() as host:
        host.emit("request.received", {"preview": "one"}, "req_1")
        take = Take(host, RecordingWish())
        now = [START + 130.0]
        take.taker = RecordingTaker(take.client, take.writer, RecordingWish(), clock=lambda: now[0])
        async with take as taker:
            host.cache_missing = True
            await taker.take_held()
            host.cache_missing = False
            following = asyncio.create_task(taker.take_on(flushed_s=0))
            now[0] += ASKED_AGAIN_S
            host.emit("request.finished", {"status": 200}, "req_1")
            host.emit("request.received", {"preview": "two"}, "req_2")
            await until(lambda: take.writer.events == 3)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    assert [at for at, _ in take.read().answers["/anyclaude/cache"]] == [START + 130 + ASKED_AGAIN_S]


async def test_without_a_host_nothing_is_taken() -> None:
    with scripted_host() as host:
        pass
    take = Take(host, RecordingWish())
    async with take as taker:
        with pytest.raises(HostError, match="nothing listens there"):
            await taker.take_held()


async def until(happened: Any) -> None:
    """Until it is so; the test's own time limit ends a wait in vain."""
    while not happened():  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.005)
