"""The palette's screen, which may be closed before it is drawn: keys that are pasted are that fast."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from textual import work
from textual.command import CommandPalette
from textual.events import Mount

_GATHER = cast(
    "Callable[[CommandPalette, str], Awaitable[None]]",
    CommandPalette._gather_commands.__wrapped__,  # type: ignore[attr-defined]
)


class PaletteScreen(CommandPalette):
    """Textual's, whose errors would end the app where it is closed before it was mounted or searched."""

    @property
    def _is_closed(self) -> bool:
        return self not in self.app.screen_stack

    def _on_mount(self, event: Mount) -> None:
        if self._is_closed:
            event.prevent_default()

    @work(exclusive=True, group="--textual-command-palette-gather-commands")
    async def _gather_commands(self, search_value: str) -> None:
        if self._is_closed:
            return
        try:
            await _GATHER(self, search_value)
        except Exception:  # its list, or a style of it, is gone
            if not self._is_closed:
                raise
