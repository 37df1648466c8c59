"""Help: the meaning of a pane's columns and numbers, and its keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.widget import Widget

from tui.client.wire_text import wrap
from tui.screen.keymap import bindings, commands, commands_on, with_keys
from tui.screen.keys.command import PANES, shown_key
from tui.screen.keys.table import without_host
from tui.screen.screens.box import Box
from tui.screen.screens.help_text import HELP, VITAL_SIGNS
from tui.screen.widgets.text_tail import TextTail

KEY_CELLS = 16


class HelpScreen(Box[None]):
    """The help of one place; each of its keys closes it."""

    place = "help"
    cells = 96
    BINDINGS = bindings("help")

    def __init__(self, about: str) -> None:
        super().__init__()
        self._about = about

    @property
    def title_text(self) -> str:
        name = dict(PANES).get(self._about, self._about.capitalize())  # type: ignore[call-overload]
        return f"{name} help"

    def middle(self) -> Widget:
        return HelpText(lambda cells: help_pieces(self._about, cells, self.app))

    def needed(self, width: int) -> int:
        return sum(text.count("\n") for text, _ in help_pieces(self._about, width - 4, self.app))

    def on_mount(self) -> None:
        self.query_one(HelpText).focus()

    async def action_leave(self) -> None:
        """Quit."""
        await self.app.run_action("leave", self.app)


class HelpText(TextTail):
    """The text that `pieces` makes for a number of cells; it is there with the first frame of its box."""

    def __init__(self, pieces: Callable[[int], Sequence[tuple[str, str]]]) -> None:
        super().__init__()
        self._pieces_in = pieces
        self._made_for = 0

    def fit(self) -> None:
        if self.size.width != self._made_for:
            self._made_for = self.size.width
            self.show_from_top(self._pieces_in(self._made_for - 4))
        super().fit()


def help_pieces(place: str, cells: int, app: object = None) -> list[tuple[str, str]]:
    """The help text of one place in lines of at most `cells` cells, as pieces with styles.

    Where `app` plays a recording, its keys come first, and none that needs a host.
    """
    pieces: list[tuple[str, str]] = []
    for title, entries in HELP[place] if place == "trace" else (*HELP[place], VITAL_SIGNS):
        if title:
            pieces += [("\n", ""), (title + "\n", "bold")]
        elif not pieces:
            pieces.append(("\n", ""))
        for name, style, meaning in entries:
            pieces += _entry(with_keys(name), style or "accent", with_keys(meaning), cells)
    pieces.append(("\nKeys\n", "bold"))
    found = commands(place, "main") if place in dict(PANES) else commands_on(place)
    if getattr(app, "plays", False) and place in dict(PANES):
        found = commands("play") + found
    for command in (one for one in found if not without_host(app, one.action)):
        pieces += _entry(_keys(command.keys, command.shown), "accent", command.title, cells)
    pieces += _entry("↑ ↓ pgup pgdn", "accent", "Move (also k and j)", cells)
    return pieces + _entry("home end", "accent", "First, last; at the newest row the list follows", cells)


def _entry(name: str, style: str, meaning: str, cells: int) -> list[tuple[str, str]]:
    if not name:
        return [(part.rstrip() + "\n", "muted") for part in wrap(meaning, cells, whole_words=True)]
    first, *rest = wrap(meaning, max(16, cells - KEY_CELLS), whole_words=True)
    pieces = [(f"{name:<{KEY_CELLS - 1}} ", style), (first.rstrip() + "\n", "")]
    return pieces + [(" " * KEY_CELLS + part.rstrip() + "\n", "") for part in rest]


def _keys(keys: str, shown: str) -> str:
    if shown and "," not in keys:
        return shown
    return " ".join(map(shown_key, keys.split(",")))
