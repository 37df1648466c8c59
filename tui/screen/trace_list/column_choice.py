"""Chooses the columns of the list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList

from tui.screen.styled_line import Line
from tui.screen.trace_list.columns import HELP, USUAL
from tui.screen.widgets.canvas import Canvas

_TITLES = tuple(HELP)


class ColumnScreen(ModalScreen[None]):
    """Shows and hides columns of the list behind it; `choose` gets the titles at each change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,C,ctrl+c", "dismiss", "Done", show=False),
        Binding("space", "turn", "Show or hide", show=False),
        Binding("u", "usual", "The usual ones", show=False),
    ]

    def __init__(self, chosen: Sequence[str], choose: Callable[[tuple[str, ...]], None]) -> None:
        super().__init__()
        self._chosen = set(chosen)
        self._choose = choose

    def compose(self) -> ComposeResult:
        with Vertical(id="columns-box"):
            yield Canvas(lambda width, height: [[(" Columns of the list", "bold")]])
            yield OptionList(*map(self._option, _TITLES), compact=True)
            yield Canvas(self._keys)

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

    def _keys(self, width: int, height: int) -> list[Line]:
        keys: Line = [(" space", "accent"), (" shows or hides   ", "")]
        keys += [("u", "accent @screen.usual"), (" the usual ones   ", "@screen.usual")]
        return [[*keys, ("esc", "accent @screen.dismiss"), (" done", "@screen.dismiss")]]
