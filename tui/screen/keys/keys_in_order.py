"""The part of the app that lets a key have had its effect before the next one is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.widgets import Input


class KeysInOrder(App[None]):
    """Runs the command of a key where it arrives.

    Textual lets a key go from the focused widget up first: of keys that are typed ahead, or come at once over
    a slow link, the next one then still goes to where the first one has led away from. What is typed into a
    field goes there, as it does in Textual, and so does a key that is none of a command; a key that leads out
    of a field comes behind what was typed into it, and before the next one. A text that is only read is no
    field: all of its keys are commands.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held: list[events.Key | events.Paste] = []
        self._settling: object = None  # of the last key; the focus that a command has set comes behind it
        self._settles_at: DOMNode = self

    @property
    def holds_keys(self) -> bool:
        """Whether what the last key asked for is still to come: the next ones wait for `release_keys`."""
        return False

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
        elif self._held or self._settling or self.holds_keys:
            self._held.append(event)
            if self._settling and not self._settles_at.is_attached:  # it was removed, and tells nothing more
                self._settle_behind([self])
        else:
            await self._take(event)

    async def release_keys(self) -> None:
        """Take the keys that have waited, in their order."""
        while self._held and not (self._settling or self.holds_keys):
            await self._take(self._held.pop(0))

    async def _take(self, event: events.Key | events.Paste) -> None:
        focused = self.focused or self.screen
        field = focused if isinstance(focused, Input) else None
        if isinstance(event, events.Key) and await self._run_command(event, field):
            # A list tells what is around it of a key; a field that it was left, and that the screen.
            self._settle_behind([*focused.ancestors_with_self] * (2 if field else 1))
        else:
            await super().on_event(event)
            if field:
                self._settle_behind([field, self])

    def _settle_behind(self, nodes: Sequence[DOMNode]) -> None:
        """Look at the next key once each of these, one after the other, has got what is on its way to it."""
        self._settling = settling = object()
        screen = self.screen

        async def settle(place: int) -> None:
            if self._settling is not settling:
                return
            if place < len(nodes):
                self._settles_at = nodes[place]
                if not self._settles_at.call_later(settle, place + 1):
                    await settle(place + 1)
                return
            await asyncio.sleep(0)  # a worker begins, which may open a box
            if self.screen_stack and self.screen is not screen:  # what has the focus there comes with it
                self._settle_behind([self.screen, self])
            else:
                self._settling = None
                await self.release_keys()

        self._settles_at = self
        self.call_later(settle, 0)

    async def _run_command(self, event: events.Key, field: Input | None) -> bool:
        """Run the command that a key has here; whether it has one."""
        if not self.screen.is_mounted or (field and field.check_consume_key(event.key, event.character)):
            return False
        return await self._check_bindings(event.key, priority=True) or await self._check_bindings(event.key)
