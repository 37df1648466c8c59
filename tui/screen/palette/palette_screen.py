"""The palette's screen, which may be closed before it is drawn: keys that are pasted are that fast."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from textual import work
from textual.command import CommandList, CommandPalette

from tui.screen.screens.closable import Closable

_GATHER = cast(
    "Callable[[CommandPalette, str], Awaitable[None]]",
    CommandPalette._gather_commands.__wrapped__,  # type: ignore[attr-defined]
)


class PaletteScreen(Closable, CommandPalette):
    """Textual's, whose errors would end the app where it is closed before it was searched, or twice."""

    def _action_command_list(self, action: str) -> None:
        if self.query_one(CommandList).scrollable_content_region:  # before, it has no pages to turn
            super()._action_command_list(action)

    @work(exclusive=True, group="--textual-command-palette-gather-commands")
    async def _gather_commands(self, search_value: str) -> None:
        if self._is_closed:
            return
        try:
            await _GATHER(self, search_value)
        except Exception:  # its list, or a style of it, is gone
            if not self._is_closed:
                raise
