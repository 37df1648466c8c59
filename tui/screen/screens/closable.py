"""Screens that may be closed before they are drawn: keys that are pasted are that fast."""

from __future__ import annotations

from collections.abc import Sequence

from textual.events import Event, InputEvent, Mount, Resize
from textual.widget import Widget


class Closable(Widget):
    """Of a screen: what comes to it once it is closed, or has no parts as the app ends, is dropped."""

    async def on_event(self, event: Event) -> None:
        shown: Sequence[Widget] = self.app.screen_stack
        if isinstance(event, Mount | Resize | InputEvent) and (self not in shown or not self.children):
            return
        await super().on_event(event)
