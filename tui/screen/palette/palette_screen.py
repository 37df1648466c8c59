"""The palette's screen, which may be closed before it is drawn: keys that are pasted are that fast.

Textual lists what was found a quarter of a second after the last key, and until then what the text before it
had found: a command that nobody has asked for would be run by an enter that comes sooner.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from textual import on, work
from textual.command import Command, CommandList, CommandPalette
from textual.widgets import Input

from tui.screen.keys.keys_in_order import KeysInOrder
from tui.screen.screens.closable import Closable

_GATHER = cast(
    "Callable[[CommandPalette, str], Awaitable[None]]",
    CommandPalette._gather_commands.__wrapped__,  # type: ignore[attr-defined]
)
LONGEST_S = 1.0  # that an enter, and the keys behind it, wait for a host that says nothing


class PaletteScreen(Closable, CommandPalette):
    """Textual's, whose errors would end the app where it is closed before it was searched, or twice.

    An enter takes what is found for the text that stands there, and waits until that is listed.
    """

    _searched: str | None = None  # the text that is being searched for
    _listed: str | None = None  # the text of which the list shows the finds
    awaits_finds = False  # for an enter; what is typed behind it is of what that leads to

    @on(Input.Submitted)
    def _take_when_found(self, event: Input.Submitted) -> None:
        if self._listed != event.value.strip():
            event.prevent_default()
            event.stop()
            self.awaits_finds = True
            self.set_timer(LONGEST_S, self._wait_no_more)

    def _refresh_command_list(
        self, command_list: CommandList, commands: list[Command], clear_current: bool
    ) -> None:
        super()._refresh_command_list(command_list, commands, clear_current)
        is_new, self._listed = self._listed != self._searched, self._searched
        if self.awaits_finds and commands and is_new:
            self._select_or_command()  # which closes the palette

    def _wait_no_more(self) -> None:
        self.awaits_finds = False
        self.app.call_later(cast("KeysInOrder", self.app).release_keys)

    def on_unmount(self) -> None:
        self._wait_no_more()

    def _action_command_list(self, action: str) -> None:
        if self.query_one(CommandList).scrollable_content_region:  # before, it has no pages to turn
            super()._action_command_list(action)

    @work(exclusive=True, group="--textual-command-palette-gather-commands")
    async def _gather_commands(self, search_value: str) -> None:
        if self._is_closed:
            return
        self._searched = search_value
        try:
            await _GATHER(self, search_value)
            if not self._list_visible:  # nothing was found that an enter could take
                self._wait_no_more()
        except Exception:  # its list, or a style of it, is gone
            if not self._is_closed:
                raise
