"""Screens fed by a recording: as a host's screen at one moment of it, or as the player shows it."""

from __future__ import annotations

from pathlib import Path

import httpx

from proxy.recordings.format import Recording
from proxy.recordings.playing import PlayedHost, PlayedTraces, played_api
from tests.tui.demo.plot import demo_recording
from tests.tui.demo.story import START
from tui.client.host_client import HostClient
from tui.client.recording.player import Player
from tui.client.records import Link
from tui.screen.app import ControlCenter
from tui.screen.playing.playing_app import PlayingApp


def player_at(moment: float, recording: Recording | None = None) -> Player:
    """A player that is paused `moment` seconds after the beginning, of the demo if none is given."""
    player = Player(recording or demo_recording())
    player.playing = False
    player.seek(player.begin + moment)
    return player


def played_app(moment: float) -> PlayingApp:
    """The player, paused at this moment of the demo."""
    recording = demo_recording()
    return PlayingApp(recording, player_at(moment, recording))


def live_app(moment: float, folder: Path) -> ControlCenter:
    """The screen of the demo's host as it was at this moment; `folder` is empty."""
    recording = demo_recording()
    player = player_at(moment, recording)
    app = ControlCenter(clock=player.clock)
    _, items = player.due(1 << 30)
    for item in items:
        app.inbox.put(item if not isinstance(item, Link) else Link("live"))
    traces = PlayedTraces(recording, folder)
    traces.show(START + moment)
    host = PlayedHost(
        traces,
        lambda: player.state,
        lambda: app.store.snapshot().engine,
        recording.answers,
        player.clock,
    )
    app.client = HostClient("http://host", transport=httpx.ASGITransport(app=played_api(host)))
    return app
