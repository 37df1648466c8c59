"""The commands of the keymap, with the words that people type for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits

from tui.screen.keys.command import Command
from tui.screen.palette.offers import COMMAND, FUZZY, Finder, has_words

# By the name of the command (`Command.name`).
WORDS = {
    "colours": "theme themes colors dark light contrast",
    "models": "switch change model load use",
    "settings": "configuration config options preferences set",
    "bundle": "bug report bundle issue support",
    "leave": "exit close end",
    "why": "slow failed reason explain",
    "diff": "difference compare changed",
    "context": "window tokens full budget compaction",
    "zoom": "maximize fullscreen",
    "turn_parts": "layout split beside columns",
    "redraw": "refresh repaint redraw",
    "to_session": "session conversation jump",
    "go_on": "jump goto related",
    "filter": "search find",
    "cancel": "abort stop kill interrupt",
    "restart": "reboot reload engine",
    "drain": "restart wait graceful",
    "stop": "shutdown kill host",
    "pin": "keep protect",
    "flush": "clear empty cache",
    "drop": "delete remove evict",
    "outside:pager": "less pager",
    "outside:editor": "vim nano editor",
    "export": "save curl har html json otel",
    "replay": "again rerun retry model",
    "copy": "clipboard yank",
    "range": "today week days history",
    "sort": "order by",
    "go_to": "jump date day time",
    "help": "keys shortcuts manual",
}


class HasCommands(Protocol):
    """A screen with commands for the palette."""

    def command_list(self) -> Sequence[Command]: ...

    async def run_command(self, command: Command) -> None: ...


class CommandProvider(Finder):
    """Offers the commands of the screen below the palette, each with its key."""

    async def discover(self) -> Hits:
        for command, run in self._offers():
            yield DiscoveryHit(command.title, run, help=f"key: {command.key}")

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command, run in self._offers():
            words = f"{command.title} {command.short} {WORDS.get(command.name, '')}".lower()
            about = f"key: {command.key}"
            if has_words(words, query):
                in_title = 0 if has_words(command.title.lower(), query) else 10
                yield self.offer(COMMAND, command.title, run, about, query, place=in_title)
            elif (score := matcher.match(command.title)) > 0:
                rank = FUZZY + score / (score + 10)
                yield Hit(rank, matcher.highlight(command.title), run, help=about)

    def _offers(self) -> Iterator[tuple[Command, Callable[[], Awaitable[None]]]]:
        screen = cast(HasCommands, self.screen)
        if hasattr(self.screen, "command_list"):
            for command in screen.command_list():
                if command.action != "palette":
                    yield command, partial(screen.run_command, command)
