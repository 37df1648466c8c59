"""The command palette: the commands of the keymap."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.screen.keymap import Command


class HasCommands(Protocol):
    """A screen with commands for the palette."""

    def command_list(self) -> Sequence[Command]: ...

    async def run_command(self, command: Command) -> None: ...


class CommandProvider(Provider):
    """Offers the commands of the screen below the palette, each with its key."""

    async def discover(self) -> Hits:
        for command, run in self._offers():
            yield DiscoveryHit(command.title, run, help=f"key: {command.key}")

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command, run in self._offers():
            if (score := matcher.match(command.title)) > 0:
                yield Hit(score, matcher.highlight(command.title), run, help=f"key: {command.key}")

    def _offers(self) -> Iterator[tuple[Command, Callable[[], Awaitable[None]]]]:
        screen = cast(HasCommands, self.screen)
        if hasattr(self.screen, "command_list"):
            for command in screen.command_list():
                if command.action != "palette":
                    yield command, partial(screen.run_command, command)
