"""Asks where to go on to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui.client.wire_text import shorten
from tui.screen.leads.targets import Target
from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Canvas

_TITLE_CELLS = 17


class GoBox(ModalScreen[str]):
    """Its result is the name of a target, empty for none; what is not there is named with the reason."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f,ctrl+c", "dismiss('')", "Stay", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("enter", "take", "Go", show=False),
    ]
    DEFAULT_CSS = """
    GoBox { align: center middle; background: transparent; }
    GoBox #go-on-box { width: 70; max-width: 100%; height: auto; max-height: 100%; background: $surface;
                       border: round $accent; padding: 0 1; }
    GoBox Canvas { background: $surface; }
    """

    def __init__(self, about: str, targets: Sequence[Target]) -> None:
        super().__init__()
        self._about = about
        self._targets = [*(one for one in targets if one.there), *(one for one in targets if not one.there)]
        self._reachable = sum(one.there for one in targets)
        self._cursor = 0

    def compose(self) -> ComposeResult:
        with Vertical(id="go-on-box"):
            yield Canvas(self._lines)

    def on_mount(self) -> None:
        self.query_one(Canvas).styles.height = len(self._lines(60, 20))

    def on_key(self, event: events.Key) -> None:
        for target in self._targets[: self._reachable]:
            if event.key == target.key:
                event.stop()
                self.dismiss(target.name)

    def on_click(self, event: events.Click) -> None:
        if event.widget is self:  # beside the box
            self.dismiss("")

    def action_move(self, step: int) -> None:
        """Select the next or the previous target."""
        self._cursor = (self._cursor + step) % max(1, self._reachable)
        self.query_one(Canvas).paint()

    def action_take(self) -> None:
        """Go to the selected target."""
        if self._reachable:
            self.dismiss(self._targets[self._cursor].name)

    def _lines(self, width: int, height: int) -> list[Line]:
        lines: list[Line] = [[(" " + shorten(f"Go on from {self._about} to", width - 1), "bold")]]
        for place, target in enumerate(self._targets):
            if not target.there:
                says = shorten(target.says, width - _TITLE_CELLS - 6)
                lines.append([("     ", ""), (f"{target.title:<{_TITLE_CELLS}}", "dim"), (says, "dim")])
                continue
            here, click = place == self._cursor, f"@screen.dismiss('{target.name}')"
            lines.append(
                [
                    (" ▌ " if here else "   ", "accent"),
                    (f"{target.key} ", f"accent {click}"),
                    (f"{target.title:<{_TITLE_CELLS}}", f"{'bold ' if here else ''}{click}"),
                    (shorten(target.says, width - _TITLE_CELLS - 6), f"muted {click}"),
                ]
            )
        return [*lines, [(" esc", "accent @screen.dismiss('')"), (" stay here", "@screen.dismiss('')")]]
