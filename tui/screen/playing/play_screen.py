"""The main screen of a recording: the panes, and the time slider above the key bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.app import ComposeResult

from tui.client.recording.player import Player
from tui.client.records import Snapshot
from tui.client.store import Store
from tui.screen.keymap import bindings, commands, footer
from tui.screen.keys.command import Command
from tui.screen.panes.pane import Pane
from tui.screen.playing.play_bar import PlayBar
from tui.screen.screens.main import MainScreen
from tui.screen.trace_list.source import ListSource
from tui.screen.widgets.filter_input import FilterInput
from tui.screen.widgets.key_bar import KeyBar
from tui.screen.widgets.vital_signs import VitalSigns

SEEK_S, SEEK_STEPS = (
    5.0,
    40,
)  # a press of ← or → goes the larger of so far and the recording's so many-th part


class PlayScreen(MainScreen):
    """The main screen, whose time is that of a player."""

    BINDINGS = bindings("play")

    def __init__(self, store: Store, clock: Callable[[], float], source: ListSource, player: Player) -> None:
        super().__init__(store, clock, source)
        self._player = player

    def compose(self) -> ComposeResult:
        for widget in super().compose():
            if isinstance(widget, KeyBar):
                yield PlayBar(self._player)
            yield widget

    def show(self, snapshot: Snapshot, vitals: VitalSigns | None = None) -> None:
        super().show(snapshot, vitals)
        if self.is_mounted:
            self.query_one(PlayBar).paint()

    def on_resize(self, event: events.Resize) -> None:
        """Draw what a size brings to light: while time stands still, nothing else does."""
        self.call_after_refresh(self._update_pane)

    def _update_pane(self) -> None:
        if self.current.is_mounted:
            self.current.update()

    def _footer(self, pane: Pane) -> Sequence[Command]:
        shown = super()._footer(pane)
        if self._filters:
            return shown
        keys = [one for one in commands("play") if not (one.action.startswith("seek(") and self._walks)]
        back = len(self.control_center.ways_back)  # the way back comes first
        return [*shown[:back], *footer(keys), *shown[back:]]

    def command_list(self) -> list[Command]:
        return [*super().command_list(), *commands("play")]

    async def run_command(self, command: Command) -> None:
        if command.place == "play":
            await self.app.run_action(command.action, self)
        else:
            await super().run_command(command)

    @property
    def _walks(self) -> bool:
        """The pane has a time line of its own, on which the arrows walk."""
        return self.current.place == "health"

    @property
    def _filters(self) -> bool:
        return self.query_one(FilterInput).has_class("open")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("pause", "seek", "incident", "speed") and self.is_mounted and self._filters:
            return False  # these keys are being typed
        if action == "seek" and self.is_mounted and self._walks:
            return False
        return super().check_action(action, parameters)

    def action_pause(self) -> None:
        """Pause, or go on."""
        self._player.toggle()
        self._draw()

    def action_seek(self, step: int) -> None:
        """Go a little on, or back."""
        seconds = max(SEEK_S, (self._player.end - self._player.begin) / SEEK_STEPS)
        self._player.seek(self._player.clock() + step * seconds)
        self._draw()

    def action_incident(self, step: int) -> None:
        """Go to the next incident, or to the one before."""
        if self._player.seek_incident(step) is None:
            where = "after" if step > 0 else "before"
            self.app.notify(f"There is no incident {where} this moment.", timeout=2, markup=False)
        self._draw()

    def action_speed(self, step: int) -> None:
        """Play faster, or slower."""
        self._player.change_speed(step)
        self._draw()

    def _draw(self) -> None:
        self.query_one(PlayBar).paint()
