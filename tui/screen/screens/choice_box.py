"""A box with a list in it, of which one line is at the cursor."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from tui.screen.keymap import key_of
from tui.screen.screens.box import Box, Result
from tui.screen.styled_line import Line
from tui.screen.widgets.scrolled_lines import ScrolledLines

MOVES: list[BindingType] = [  # before those of the text in the box, which would scroll
    Binding("up,k", "move(-1)", show=False, priority=True),
    Binding("down,j", "move(1)", show=False, priority=True),
]


class ChoiceBox(Box[Result]):
    """`at` is the place of the cursor among `number` choices; the action `take(place)` chooses one."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.at = 0
        self._number = number
        self._first_line = 0  # of the choices

    def action_move(self, step: int) -> None:
        """Go to the next or previous choice."""
        self.at = (self.at + step) % self._number
        text = self.query_one(ScrolledLines)
        text.paint()
        text.reveal(self._first_line + self.at)

    def mark(self, place: int) -> Line:
        """The cursor, where it is, and the key of a choice."""
        key = key_of(f"{self.place}.take:{place}")
        return [("▌" if place == self.at else " ", "accent"), (f"{key}  ", f"accent {self.click(place)}")]

    def look(self, place: int) -> str:
        """The style of a choice."""
        return f"{'bold ' if place == self.at else ''}{self.click(place)}"

    def click(self, place: int) -> str:
        """What a click on a choice does."""
        return f"@screen.take({place})"
