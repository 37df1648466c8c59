"""A recording holds all that a screen shows: played, it looks as it did to whoever was there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual._compositor import LayoutUpdate

from proxy.events.types import Event
from proxy.recordings.format import Recording, RecordingHeader
from proxy.recordings.playing import PlayedHost, PlayedTraces, played_api
from tests.tui.morning.recording import morning_recording, packed, unpacked
from tests.tui.morning.story import whole_morning
from tests.tui.morning.traces import row_of, whole_traces
from tests.tui.pictures import settle
from tests.tui.recorded import played_app, player_at
from tests.tui.traffic import START, Morning
from tui.client.host_client import HostClient
from tui.client.records import Link, Snapshot
from tui.client.store import Store
from tui.screen.app import ControlCenter
from tui.screen.keys.command import PANES

SIZE = (120, 40)
_OF_THE_PLAYER = 2  # lines: the time slider, and the keys


def morning_then(events: Sequence[Event], moment: float) -> Morning:
    """The host as it is `moment` seconds after the start, when of all these events some have happened."""
    then = Morning()
    times = accumulate((event.time for event in events), max)  # a feed's times may go back a little
    for event, at in zip(events, times, strict=True):
        if at > START + moment:
            break
        then.events.append(event)
        if (payload := event.payload()) is not None:
            then.counters.observe(event.type, event.request, payload)
        if event.type == "engine.state":
            then._engine = event.data
    then.now = START + moment
    return then


def live_screen(morning: Morning, recording: Recording, folder: Path) -> ControlCenter:
    """The screen of somebody who attaches to the host now; the cache is as old as in the recording."""
    app = ControlCenter(clock=lambda: morning.now)
    for arrival in morning.arrivals():
        app.inbox.put(arrival)
    app.inbox.put(Link("live"))
    traces = {trace.id: trace for trace in whole_traces(morning.events)}
    rows = {name: row_of(trace) for name, trace in traces.items()}
    store = PlayedTraces(Recording(RecordingHeader(anyclaude_recording=1), [], rows, traces), folder)
    store.show(morning.now)
    host = PlayedHost(
        store, lambda: None, lambda: app.store.snapshot().engine, recording.answers, lambda: morning.now
    )
    app.client = HostClient("http://host", transport=httpx.ASGITransport(app=played_api(host)))
    return app


async def shown(app: ControlCenter, lines: int) -> dict[str, list[str]]:
    """What each pane shows, above what a player has in its last lines."""
    texts = {}
    async with app.run_test(size=(SIZE[0], SIZE[1] + lines)) as pilot:
        while app.client is None:
            await pilot.pause()
        for number, (place, _) in enumerate(PANES, 1):
            await pilot.press(str(number))
            for _ in range(2):
                await settle(app, pilot)
            update = app.screen._compositor.render_update(full=True)
            assert isinstance(update, LayoutUpdate)
            drawn = ["".join(segment.text for strip in line for segment in strip) for line in update.strips]
            texts[place] = [line.rstrip() for line in drawn[: SIZE[1] - 1]]
    return texts


@cache
def another_morning() -> tuple[Morning, Recording]:
    """One whose figures are others."""
    morning = Morning(seed=23).play()
    return morning, unpacked(packed(morning))


# Before the first request the panes differ: the live one says how to make it, the player how to get there.
@pytest.mark.parametrize("moment", [1341.7, 1387.0])
async def test_each_pane_of_a_played_recording_shows_what_the_live_one_did(
    moment: float, tmp_path: Path
) -> None:
    whole, _ = whole_morning()
    recording = morning_recording()
    live = await shown(live_screen(morning_then(whole.events, moment), recording, tmp_path), 0)
    played = await shown(played_app(moment, recording), _OF_THE_PLAYER - 1)
    for place, _ in PANES:
        assert "\n".join(played[place]) == "\n".join(live[place]), place


@settings(max_examples=12, deadline=None)
@given(st.floats(0.0, 1.0), st.booleans())
def test_a_screen_knows_at_any_moment_of_a_recording_what_it_would_know_of_its_host(
    share: float, other: bool
) -> None:
    whole, recording = another_morning() if other else (whole_morning()[0], morning_recording())
    moment = share * (recording.end - recording.begin)
    live, played = Store(), Store()
    for arrival in morning_then(whole.events, moment).arrivals():
        live.take(arrival)
    for item in player_at(moment, recording).due(1 << 30)[1]:
        played.take(item)
    assert _told(played.snapshot()) == _told(live.snapshot())


def _told(snapshot: Snapshot) -> dict[str, object]:
    """All that is known of the host, without how it came to be known and in how many steps."""
    names = set(Snapshot.__dataclass_fields__) - {"link", "host", "version"}
    return {name: getattr(snapshot, name) for name in sorted(names)}
