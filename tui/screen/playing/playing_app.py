"""The control center with a recording in the place of a host."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events
from textual.screen import Screen

from tui.client.figures import plural
from tui.client.recording.player import Player
from tui.screen.app import ControlCenter
from tui.screen.host_protocols import HostApi
from tui.screen.keymap import commands, commands_on
from tui.screen.keys.table import without_host
from tui.screen.playing.play_screen import PlayScreen
from tui.screen.screens.main import MainScreen
from tui.screen.theme_choice import ThemeChoice
from tui.screen.trace_list.source import ListSource

if TYPE_CHECKING:
    import httpx

    from proxy.recordings.format import Recording
    from proxy.recordings.playing import PlayedTraces

_LISTED_S = 0.5  # a trace is listed that long before its end, for the event of which the list is loaded


class PlayingApp(ControlCenter):
    """Shows a recording; nothing in it can be changed, and nothing is asked of anybody."""

    CSS_PATH = "../theme.tcss"

    plays = True

    def __init__(
        self, recording: Recording, player: Player | None = None, *, themes: ThemeChoice | None = None
    ) -> None:
        self.player = player or Player(recording)
        super().__init__(themes=themes, clock=self.player.clock)
        self._recording = recording
        self._traces: PlayedTraces | None = None

    def get_default_screen(self) -> Screen[None]:
        source = ListSource(self._host_api, self._clock)
        return PlayScreen(self.store, self._clock, source, self.player)

    def _start(self) -> None:
        self.run_worker(self._serve(), name="recording", group="recording", exit_on_error=False)
        if self._recording.cut_off:
            self.notify_user("The end of this recording is missing; what is before it is shown.", "warning")
        if damaged := self._recording.damaged:
            self.notify_user(f"{plural(damaged, 'line')} of this recording cannot be read.", "warning")

    async def _serve(self) -> None:
        """Answer the requests of the screens from the recording, until the app closes."""
        from tui.client.host_client import HostClient

        with tempfile.TemporaryDirectory(prefix="anyclaude-play-") as folder:
            traces, transport = await asyncio.to_thread(self._open, Path(folder))
            client = HostClient("http://recording", transport=transport)
            self._traces, self.client = traces, client
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await client.close()

    def _open(self, folder: Path) -> tuple[PlayedTraces, httpx.AsyncBaseTransport]:
        import httpx

        from proxy.recordings.playing import PlayedHost, PlayedTraces, played_api

        traces = PlayedTraces(self._recording, folder)
        traces.show(self.player.clock() + _LISTED_S)
        host = PlayedHost(
            traces,
            lambda: self.player.state,
            lambda: self.store.snapshot().engine,
            self._recording.answers,
            self.player.clock,
        )
        return traces, httpx.ASGITransport(app=played_api(host), raise_app_exceptions=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not without_host(self, f"app.{action}") and super().check_action(action, parameters)

    def on_key(self, event: events.Key) -> None:
        """Say why nothing comes of a key that would change something on a host."""
        screen = self.screen
        if isinstance(screen, MainScreen):
            known = commands("main", screen.current.place)
        else:
            known = commands_on(getattr(screen, "place", ""))
        for one in known:
            if event.key in one.keys.split(",") and without_host(self, one.action):
                self.notify(f"{one.title}: this is a recording, without a host.", timeout=2, markup=False)
                return

    def frame(self) -> None:
        rewind, items = self.player.due()
        if rewind is not None:
            self.inbox.drain()
            self.store.clear(rewind.kept)
        for item in items:
            self.inbox.put(item)
        if self._traces is not None:
            self._traces.show(self.player.clock() + _LISTED_S)
        super().frame()
        self.player.keep(self.store.keep)

    def _host_api(self) -> HostApi:
        if self.client is None:
            raise ConnectionError("the recording is still being read")
        return self.client
