"""A question with two answers."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui.client.wire_text import wrap
from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Canvas

BOX_CELLS = 56


class ConfirmScreen(ModalScreen[bool]):
    """Asks `question`; enter or y is yes, esc or n is no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y", "dismiss(True)", "Yes", show=False),
        Binding("escape,n,q,ctrl+c", "dismiss(False)", "No", show=False),
    ]

    def __init__(self, question: str, consequence: str, yes: str, no: str = "cancel") -> None:
        super().__init__()
        self._question = question
        self._consequence = consequence
        self._yes = yes
        self._no = no

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm-box"):
            yield Canvas(self._lines)

    def on_mount(self) -> None:
        lines = self._lines(BOX_CELLS, 20)
        self.query_one(Canvas).styles.height = len(lines)

    def on_click(self, event: events.Click) -> None:
        if event.widget is self:  # beside the box
            self.dismiss(False)

    def _lines(self, width: int, height: int) -> list[Line]:
        consequence: list[Line] = [[(" " + part, "muted")] for part in wrap(self._consequence, width - 2)]
        keys: Line = [
            (" enter", "accent @screen.dismiss(True)"),
            (f" {self._yes}", "@screen.dismiss(True)"),
            ("     ", ""),
            ("esc", "accent @screen.dismiss(False)"),
            (f" {self._no}", "@screen.dismiss(False)"),
        ]
        return [[(" " + self._question, "bold")], [], *consequence, [], keys]
