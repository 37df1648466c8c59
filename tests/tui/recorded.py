"""Screens fed by a recording: as a host's screen at one moment of it, or as the player shows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from proxy.changes.change_facts import LiveSetting, LocalModelList
from proxy.recordings.format import Recording
from proxy.recordings.playing import PlayedHost, PlayedTraces, played_api
from tests.tui.demo.plot import demo_recording
from tests.tui.trace_samples import SampleHost
from tui.client.asking import WholeAnswer
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


def played_app(moment: float, recording: Recording | None = None) -> PlayingApp:
    """The player, paused at this moment of a recording, of the demo if none is given."""
    recording = recording or demo_recording()
    return PlayingApp(recording, player_at(moment, recording))


def live_app(moment: float, folder: Path, recording: Recording | None = None) -> ControlCenter:
    """The screen of a recording's host as it was at this moment, by the recording alone.

    Of the demo if no recording is given; `folder` is empty.
    """
    recording = recording or demo_recording()
    player = player_at(moment, recording)
    app = ControlCenter(clock=player.clock)
    _, items = player.due(1 << 30)
    for item in items:
        app.inbox.put(item if not isinstance(item, Link) else Link("live"))
    traces = PlayedTraces(recording, folder)
    traces.show(player.clock())
    host = PlayedHost(
        traces,
        lambda: player.state,
        lambda: app.store.snapshot().engine,
        recording.answers,
        player.clock,
    )
    app.client = RecordedHost("http://host", transport=httpx.ASGITransport(app=played_api(host)))
    return app


class RecordedHost(HostClient):
    """A host that answers from a recording; what none can have is made up, and noted in `made_up`."""

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(url, transport=transport)
        self.made_up: list[str] = []  # what was asked
        self._made_up = SampleHost([])

    async def models(self) -> LocalModelList:
        self.made_up.append("models")
        return await self._made_up.models()

    async def answering_models(self) -> list[str]:
        self.made_up.append("answering models")
        return await self._made_up.answering_models()

    async def settings(self, *, settled: bool = False) -> list[LiveSetting]:
        self.made_up.append("settings")
        return await self._made_up.settings()

    async def ask_again(self, body: Mapping[str, Any], query: str) -> WholeAnswer:
        self.made_up.append("ask again")
        return await self._made_up.ask_again(body, query)
