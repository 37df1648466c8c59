"""Help: the meaning of a pane's columns and numbers, and its keys."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui.client.wire_text import wrap
from tui.screen.keymap import PANES, commands, commands_on, shown_key, without_host
from tui.screen.screens.help_text import HELP, VITAL_SIGNS
from tui.screen.widgets.canvas import Heading
from tui.screen.widgets.text_tail import TextTail

KEY_CELLS = 16


class HelpScreen(ModalScreen[None]):
    """The help of one place; each of its keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "dismiss", "Close", show=False),
        Binding("ctrl+c,ctrl+q", "app.leave", "Quit", show=False),
    ]

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = place

    def compose(self) -> ComposeResult:
        name = dict(PANES).get(self._place, self._place.capitalize())  # type: ignore[call-overload]
        with Vertical(id="help-box"):
            heading = Heading("Help")
            heading.set_text([(name, "bold"), ("  help", "muted")], [("esc closes", "dim @screen.dismiss")])
            yield heading
            yield TextTail()

    def on_mount(self) -> None:
        self.query_one(TextTail).focus()

    def on_click(self, event: events.Click) -> None:
        if event.widget is self:  # beside the box
            self.dismiss()

    def on_resize(self, event: events.Resize) -> None:
        # After the layout, which sets the width of the text.
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        tail = self.query_one(TextTail)
        tail.show_from_top(help_pieces(self._place, tail.size.width - 4, self.app))


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
            pieces += _entry(name, style or "accent", meaning, cells)
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
        return [(part.rstrip() + "\n", "muted") for part in wrap(meaning, cells)]
    first, *rest = wrap(meaning, max(16, cells - KEY_CELLS))
    pieces = [(f"{name:<{KEY_CELLS}}", style), (first.rstrip() + "\n", "")]
    return pieces + [(" " * KEY_CELLS + part.rstrip() + "\n", "") for part in rest]


def _keys(keys: str, shown: str) -> str:
    if shown and "," not in keys:
        return shown
    return " ".join(map(shown_key, keys.split(",")))
