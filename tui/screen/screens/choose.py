"""A question with several answers, each with what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui.client.wire_text import wrap
from tui.screen.screens.confirm import BOX_CELLS
from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Canvas


class Alternative(NamedTuple):
    """One answer: its key, its name, and its consequence."""

    key: str
    name: str
    consequence: str


class ChooseScreen(ModalScreen[str]):
    """Asks `question`; its result is the name of the choice whose key was pressed, empty for none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n,q,ctrl+c", "dismiss('')", "None", show=False),
    ]

    def __init__(self, question: str, choices: Sequence[Alternative], note: str = "") -> None:
        super().__init__()
        self._question = question
        self._choices = choices
        self._note = note

    def compose(self) -> ComposeResult:
        with Vertical(id="choose-box"):
            yield Canvas(self._lines)

    def on_mount(self) -> None:
        self.query_one(Canvas).styles.height = len(self._lines(BOX_CELLS, 30))

    def on_key(self, event: events.Key) -> None:
        for choice in self._choices:
            if event.key == choice.key:
                event.stop()
                self.dismiss(choice.name)

    def _lines(self, width: int, height: int) -> list[Line]:
        lines: list[Line] = [[(" " + self._question, "bold")], []]
        for choice in self._choices:
            chosen = f"@screen.dismiss('{choice.name}')"
            first, *more = wrap(choice.consequence, width - 12) or [""]
            lines.append(
                [(f" {choice.key}", f"accent {chosen}"), (f" {choice.name:<8} ", chosen), (first, "muted")]
            )
            lines += [[(" " * 12 + part, "muted")] for part in more]
        lines += (
            [[], *([(" " + part, "muted")] for part in wrap(self._note, width - 2))] if self._note else []
        )
        return [
            *lines,
            [],
            [(" esc", "accent @screen.dismiss('')"), (" keep everything", "@screen.dismiss('')")],
        ]
