from __future__ import annotations

from typing import Any

import pytest

from engine.wire.json_text import encode_json
from proxy.events.types import Event, HostState
from proxy.recordings.format import Contact, Moment, Recording, RecordingHeader
from tests.tui.demo.plot import demo, demo_recording
from tests.tui.demo.story import START
from tui.client.inbox import Damaged
from tui.client.recording.player import SPEEDS, Player, Rewind
from tui.client.records import RECORDED, Link
from tui.client.store import Store


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def recording() -> Recording:
    return demo_recording()


def store_at(moment: float, *ways: float) -> Store:
    """What a screen knows at a moment, after the player was elsewhere before."""
    player, store = Player(recording()), Store()
    player.playing = False
    for place in (*ways, moment):
        player.seek(START + place)
        while True:
            rewind, items = player.due(100)
            if rewind is not None:
                store.clear(rewind.kept)
            for item in items:
                store.take(item)
            player.keep(store.keep)
            if not player.behind:
                break
    return store


class TestTime:
    def test_it_passes_as_fast_as_wished_and_not_while_paused(self) -> None:
        hands = Hands()
        player = Player(recording(), monotonic=hands)
        hands.now += 2
        player.due()
        assert player.clock() == START + 2
        player.change_speed(1)
        hands.now += 3
        player.due()
        assert player.clock() == START + 8
        player.toggle()
        hands.now += 60
        player.due()
        assert player.clock() == START + 8
        player.toggle()
        hands.now += 1
        player.due()
        assert player.clock() == START + 10

    def test_it_stops_at_the_end_and_begins_anew(self) -> None:
        hands = Hands()
        player = Player(recording(), monotonic=hands)
        hands.now += 10_000
        player.due()
        assert player.at_end
        assert player.clock() == player.end
        assert not player.playing
        player.toggle()
        assert (player.clock(), player.playing) == (START, True)
        assert player.due()[0] == Rewind()

    def test_speeds_end_where_they_end(self) -> None:
        player = Player(recording())
        for _ in SPEEDS * 2:
            player.change_speed(1)
        assert player.speed == SPEEDS[-1]
        for _ in SPEEDS * 2:
            player.change_speed(-1)
        assert player.speed == SPEEDS[0]

    def test_no_place_is_outside(self) -> None:
        player = Player(recording())
        player.seek(0)
        assert player.clock() == player.begin
        player.seek_share(7)
        assert player.clock() == player.end


class TestWhatIsShown:
    def test_a_moment_looks_the_same_however_one_came_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tui.client.recording.player.KEYFRAME_EVERY", 90)
        straight = store_at(80).snapshot()
        for ways in ((20.0, 124.0, 3.0), (79.0, 85.0)):
            snapshot = store_at(80, *ways).snapshot()
            assert snapshot.requests == straight.requests
            assert snapshot.totals == straight.totals
            assert snapshot.engine == straight.engine
            assert snapshot.log == straight.log
            assert (snapshot.lost, snapshot.damaged) == (0, 0)

    def test_the_way_back_begins_at_what_was_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tui.client.recording.player.KEYFRAME_EVERY", 100)
        player, kept = Player(recording()), []
        player.playing = False
        player.seek(player.end)
        while player.behind:
            player.due(100)
            player.keep(lambda: kept.append(1) or b"kept")
        assert len(kept) == 6
        player.seek(player.end - 5)
        rewind, items = player.due(1000)
        assert rewind == Rewind(b"kept")
        assert len(items) < 100

    def test_a_way_forward_goes_on_from_what_is_shown_or_from_what_was_kept_behind_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tui.client.recording.player.KEYFRAME_EVERY", 100)
        player = Player(recording())
        player.playing = False
        player.due()
        for moment in (player.begin + 1, player.end):
            player.seek(moment)
            while player.behind:
                rewind, _ = player.due(100)
                assert rewind is None
                player.keep(lambda: b"kept")
        player.seek(player.begin)
        assert player.due()[0] == Rewind(b"")
        player.seek(player.end)
        rewind, items = player.due()
        assert rewind == Rewind(b"kept")
        assert len(items) < 100

    def test_the_link_says_that_it_is_recorded(self) -> None:
        link = store_at(10).snapshot().link
        assert (link.state, link.recorded, link.gone) == ("live", True, False)

    def test_a_host_that_was_gone_is_gone(self) -> None:
        gone = Contact(state="ended", detail="the host ended")
        found = Recording(RecordingHeader(anyclaude_recording=1), [Moment(START, gone)])
        player = Player(found)
        assert player.due()[1] == [Link("live", RECORDED, START), Link("ended", "the host ended", START)]

    def test_an_event_that_cannot_be_read_is_counted(self) -> None:
        bad = Recording(RecordingHeader(anyclaude_recording=1), [Moment(START, b'{"event": {"seq": 1}}')])
        assert isinstance(Player(bad).due()[1][1], Damaged)

    def test_a_long_way_is_taken_in_steps(self) -> None:
        player = Player(recording())
        player.playing = False
        player.seek(player.end)
        assert len(player.due(100)[1]) == 101  # with the link
        assert player.behind
        while player.behind:
            player.due(100)
        state, *_ = [moment.what for moment in recording().moments]
        assert isinstance(state, HostState)
        assert player.state == state


class TestIncidents:
    def test_they_are_found_one_after_the_other(self) -> None:
        player = Player(recording())
        assert [incident.kind for incident in player.incidents] == ["missed", "failed", "failed", "restart"]
        assert player.seek_incident(-1) is None
        found = player.seek_incident(1)
        assert found is not None
        assert found.kind == "missed"
        assert player.clock() == pytest.approx(found.at + 0.5)
        while player.seek_incident(1):
            pass
        assert player.clock() > START + 79
        back = player.seek_incident(-1)
        assert back is not None
        assert back.kind == "missed"

    def test_those_of_one_second_are_one(self) -> None:
        moments = [
            Moment(START + at, encode_json({"at": at, "event": failed(seq, START + at)}))
            for seq, at in enumerate((0.0, 10.0, 10.6, 20.0, 20.4, 30.0), 1)
        ]
        player = Player(Recording(RecordingHeader(anyclaude_recording=1), moments))
        player.playing = False
        there = [round(found.at - START, 1) for _ in range(3) if (found := player.seek_incident(1))]
        assert there == [10.0, 20.0, 30.0]
        back = [round(found.at - START, 1) for _ in range(2) if (found := player.seek_incident(-1))]
        assert back == [20.4, 10.6]  # from behind, the last of them

    def test_a_request_that_was_cancelled_is_none(self) -> None:
        left = Moment(START, encode_json({"at": START, "event": failed(1, START, cancelled=True)}))
        assert Player(Recording(RecordingHeader(anyclaude_recording=1), [left])).incidents == ()


def failed(seq: int, at: float, **more: Any) -> dict[str, Any]:
    data = {"error": {"type": "api_error", "message": "m"}, **more}
    return {"seq": seq, "time": at, "type": "request.failed", "request": f"r{seq}", "data": data}


def test_the_demo_has_what_it_is_for() -> None:
    """Two sessions, a subagent, a miss, a failed call, a failed request that is repeated, a restart."""
    events: list[Event] = demo().events()
    received = [one.data for one in events if one.type == "request.received"]
    assert {one["lane"] for one in received} == {"main", "subagent", "auxiliary"}
    assert len({one["session"] for one in received}) == 2
    failed = {one.request for one in events if one.type == "request.failed"}
    assert failed == {one["retry_of"] for one in received if one["retry_of"]}
    types = {one.type for one in events}
    assert {"cache.missed", "engine.restart", "request.tool_call"} <= types
    assert any(one.data.get("is_error") for one in events if one.type == "request.tool_result")
    for one in events:
        one.payload()
