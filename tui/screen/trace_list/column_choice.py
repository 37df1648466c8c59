"""Chooses the columns of the list."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text
from textual.widget import Widget
from textual.widgets import OptionList

from tui.screen.keymap import bindings
from tui.screen.screens.box import Box
from tui.screen.trace_list.columns import HELP, USUAL

_TITLES = tuple(HELP)


class ColumnList(OptionList):
    """A list that turns no page before it has lines: Textual's would end the app."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self.scrollable_content_region) or not action.startswith("page_")


class ColumnScreen(Box[None]):
    """Shows and hides columns of the list behind it; `choose` gets the titles at each change."""

    place = "columns"
    BINDINGS = bindings("columns")
    title_text = "Columns of the list"

    def __init__(self, chosen: Sequence[str], choose: Callable[[tuple[str, ...]], None]) -> None:
        super().__init__()
        self._chosen = set(chosen)
        self._choose = choose

    def middle(self) -> Widget:
        return ColumnList(*map(self._option, _TITLES), compact=True)

    def needed(self, width: int) -> int:
        return len(_TITLES)

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._change(self._chosen ^ {_TITLES[event.option_index]})

    def action_turn(self) -> None:
        """Show or hide the column at the cursor; one is always shown."""
        place = self.query_one(OptionList).highlighted
        if place is not None:
            self._change(self._chosen ^ {_TITLES[place]})

    def action_usual(self) -> None:
        """Choose those that a new list has."""
        self._change(set(USUAL))

    def _change(self, chosen: set[str]) -> None:
        self._chosen = chosen or self._chosen
        self._choose(tuple(title for title in _TITLES if title in self._chosen))
        options = self.query_one(OptionList)
        for place, title in enumerate(_TITLES):
            options.replace_option_prompt_at_index(place, self._option(title))

    def _option(self, title: str) -> Text:
        return Text(f" {'✓' if title in self._chosen else ' '} {title:<12} {HELP[title]}")
