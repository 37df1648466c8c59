"""The part of the app that lets a key have had its effect before the next one is looked at."""

from __future__ import annotations

from textual import events
from textual.app import App
from textual.widgets import Input


class KeysInOrder(App[None]):
    """Runs the command of a key where it arrives.

    Textual lets a key go from the focused widget up first: of keys that are typed ahead, or come at once over
    a slow link, the next one then still goes to where the first one has led away from. What is typed into a
    field goes there, as it does in Textual, and so does a key that is none of a command. A text that is only
    read is no field: all of its keys are commands.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held: list[events.Key | events.Paste] = []
        self._settling = False  # the focus that a command has set comes behind it

    @property
    def holds_keys(self) -> bool:
        """Whether what the last key asked for is still to come: the next ones wait for `release_keys`."""
        return False

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
        elif self._held or self._settling or self.holds_keys:
            self._held.append(event)
        else:
            await self._take(event)

    async def release_keys(self) -> None:
        """Take the keys that have waited, in their order."""
        while self._held and not (self._settling or self.holds_keys):
            await self._take(self._held.pop(0))

    async def _take(self, event: events.Key | events.Paste) -> None:
        if isinstance(event, events.Key) and await self._run_command(event.key):
            self._settling = self.call_later(self._settled)
        else:
            await super().on_event(event)

    async def _settled(self) -> None:
        self._settling = False
        await self.release_keys()

    async def _run_command(self, key: str) -> bool:
        """Run the command that a key has here; whether it has one."""
        if isinstance(self.focused, Input) or not self.screen.is_mounted:
            return False
        return await self._check_bindings(key, priority=True) or await self._check_bindings(key)
