"""A screen with one text that is searched: the input, its keys, and what is told of the places found."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Protocol

from tui.client.wire_text import line_text, shorten
from tui.screen.keymap import key_of
from tui.screen.keys.command import Command
from tui.screen.keys.table import WHILE_SEARCHING
from tui.screen.screens.opened import OpenedScreen
from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.search_input import SearchInput

_WORDS_CELLS = 20


class Searchable(Protocol):
    """A widget that marks where a text stands in what it shows."""

    @property
    def found(self) -> tuple[int, int]:
        """Which place is the present one, from 1 on, and how many there are."""

    def search(self, query: str) -> None:
        """Mark the places of this text, whatever its case, and go to one; "": mark none."""

    def step_match(self, step: int) -> None:
        """Go to the next or previous place; behind the last one the first."""

    def focus(self) -> object:
        """Take the keys."""


class SearchingScreen(OpenedScreen):
    """A subclass composes a `SearchInput` and a head, in which it draws `told_search`."""

    where: ClassVar[str]  # a text is searched: "in it", say
    head: ClassVar[str]  # the selector of the head
    go_on: ClassVar[str] = "match(1)"  # the action of the key that leads to the next place
    words = ""  # that are searched for; "": none

    @property
    def searched(self) -> Searchable:
        """What is searched, and has the focus otherwise."""
        raise NotImplementedError

    def search(self, query: str) -> None:
        """Mark where this text stands; "": search no more."""
        self.words = query
        self.searched.search(query)
        self._tell()

    @property
    def told_search(self) -> Line:
        """What is searched for and what was found, for the head; the open input tells it itself."""
        if not self.words or self.query_one(SearchInput).is_open:
            return []
        return [("/", "accent"), (self._short_words, "bold"), ("  ", ""), *self._found]

    @property
    def _short_words(self) -> str:
        return shorten(line_text(self.words), _WORDS_CELLS)

    @property
    def _found(self) -> Line:
        if not self.words:
            return []
        number, total = self.searched.found
        if not total:
            return [(f"not {self.where}", "warn")]
        return [(f"{number:,} of {total:,}", "bold"), (f"   {self._keys}", "accent")]

    @property
    def _keys(self) -> str:
        """The keys that lead to the next place and the one before."""
        commands = {command.action: command.key for command in super().command_list()}
        return f"{commands[self.go_on]} {commands['match(-1)']}"

    def _tell(self) -> None:
        self.query_one(SearchInput).tell(self._found)
        self.query_one(self.head, Canvas).paint()

    # -- commands -----------------------------------------------------------------------------------------

    def command_list(self) -> list[Command]:
        """The commands of this screen; in a search, those of the search first."""
        if self.query_one(SearchInput).is_open:
            return list(WHILE_SEARCHING)
        found = super().command_list()
        if not self.words:
            return found
        return [
            replace(one, short="place", bar=self._keys, rank=0) if one.action == self.go_on else one
            for one in found
        ]

    def action_filter(self) -> None:
        """Open the input; what was searched for stands in it."""
        self.query_one(SearchInput).open(self.words)
        self.search(self.words)

    def on_search_input_changed(self, event: SearchInput.Changed) -> None:
        self.search(event.query)
        if event.done:
            self.searched.focus()

    def action_keep_search(self) -> None:
        """Close the input and keep the marks."""
        self.query_one(SearchInput).keep()

    def action_match(self, step: int) -> None:
        """Go to the next or previous place."""
        if not self.words:
            self.say(f"Nothing is searched for: {key_of(f'{self.place}.filter')} does.")
            return
        if not self.searched.found[1]:
            self.say(f"{self._short_words} is not {self.where}.")
        self.searched.step_match(step)
        self._tell()

    def action_back(self) -> None:
        """Take the marks of a search away; without one, back to where it was opened from."""
        if self.query_one(SearchInput).is_open:
            self.query_one(SearchInput).action_clear()
        elif self.words:
            self.search("")
        else:
            super().action_back()

    def say(self, text: str) -> None:
        """Tell the user why a key did nothing, or did something else."""
        self.app.notify(text, timeout=3, markup=False)
