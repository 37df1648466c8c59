"""Help: what the columns and numbers of one pane mean, and which keys work there."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui.keymap import PANES, commands
from tui.screens.help_text import HELP
from tui.widgets.canvas import Heading
from tui.widgets.text_tail import TextTail

KEY_CELLS = 14


class HelpScreen(ModalScreen[None]):
    """The help of one place; any of its keys closes it."""

    BINDINGS = [Binding("escape,q,question_mark,f1,enter", "dismiss", "Close", show=False)]

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = place

    def compose(self) -> ComposeResult:
        name = dict(PANES).get(self._place, "Trace")  # type: ignore[call-overload]
        with Vertical(id="help-box"):
            heading = Heading("Help")
            heading.say([(name, "bold"), ("  help", "muted")], [("esc closes", "dim")])
            yield heading
            yield TextTail()

    def on_mount(self) -> None:
        tail = self.query_one(TextTail)
        tail.add(help_pieces(self._place))
        tail.scroll_home(animate=False)
        tail.focus()


def help_pieces(place: str) -> list[tuple[str, str]]:
    """The help text of one place, as pieces with looks."""
    pieces: list[tuple[str, str]] = []
    for title, entries in HELP[place]:
        pieces += [("\n" if not pieces else "\n\n", ""), (title, "bold")]
        for name, look, meaning in entries:
            pieces.append(("\n", ""))
            if name:
                pieces.append((f"{name:<{KEY_CELLS}}", look or "accent"))
            pieces.append((meaning, "" if name else "muted"))
    pieces += [("\n\nKeys", "bold")]
    here = commands(place) if place == "trace" else commands(place, "main")
    for command in here:
        pieces += [("\n", ""), (f"{_keys(command.keys, command.shown):<{KEY_CELLS}}", "accent")]
        pieces.append((command.title, ""))
    pieces += [("\n", ""), (f"{'↑ ↓ pgup pgdn':<{KEY_CELLS}}", "accent"), ("Move (also k and j)", "")]
    pieces += [
        ("\n", ""),
        (f"{'home end':<{KEY_CELLS}}", "accent"),
        ("First, last; at the newest the list follows", ""),
    ]
    return pieces


def _keys(keys: str, shown: str) -> str:
    names = {"slash": "/", "question_mark": "?", "escape": "esc", "right": "→", "left": "←"}
    if shown and "," not in keys:
        return shown
    return " ".join(names.get(key, key.replace("ctrl+", "^")) for key in keys.split(","))
