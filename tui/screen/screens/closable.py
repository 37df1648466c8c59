"""Screens that may be closed before they are drawn, and once more: pasted keys and clicks are that fast."""

from __future__ import annotations

from typing import Any

from textual.await_complete import AwaitComplete
from textual.events import Event, InputEvent, Mount, Resize

from tui.screen.frames.removed_widgets import WithoutRemoved


class Closable(WithoutRemoved):
    """Of a screen: what comes to it once it is closed, or has no parts as the app ends, is dropped.

    What its parts still ask of it then, as the second click on `esc back` does, closes no other screen.
    """

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Mount | Resize | InputEvent) and (self._is_closed or not self.children):
            return
        await super().on_event(event)

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Close the screen, once."""
        return AwaitComplete() if self._is_closed else super().dismiss(result)

    @property
    def _is_closed(self) -> bool:
        return self not in self.app.screen_stack
