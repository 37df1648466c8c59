"""Asks where to go on to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from tui.client.wire_text import shorten
from tui.screen.keymap import bindings
from tui.screen.leads.targets import Target
from tui.screen.screens.choice_box import MOVES, ChoiceBox
from tui.screen.styled_line import Line

_TITLE_CELLS = 17


class GoBox(ChoiceBox[str]):
    """Its result is the name of a target, empty for none; what is not there is named with the reason."""

    place = "go_on"
    cells = 70
    BINDINGS: ClassVar[list[BindingType]] = [*MOVES, *bindings("go_on")]

    def __init__(self, about: str, targets: Sequence[Target]) -> None:
        self.targets = [*(one for one in targets if one.there), *(one for one in targets if not one.there)]
        self._reachable = sum(one.there for one in targets)
        self._about = about
        super().__init__(max(1, self._reachable))

    @property
    def title_text(self) -> str:
        return f"Go on from {self._about} to"

    def no_answer(self) -> str:
        return ""

    def action_take(self, place: int) -> None:
        """Go to the target at this place; -1: at the cursor."""
        place = self.at if place < 0 else place
        if place < self._reachable:
            self.dismiss(self.targets[place].name)

    def action_go(self, name: str) -> None:
        """Go to the target of this name, if something is there."""
        if any(one.name == name for one in self.targets[: self._reachable]):
            self.dismiss(name)

    def lines(self, width: int) -> list[Line]:
        room = width - _TITLE_CELLS - 6
        return [self._line(place, target, room) for place, target in enumerate(self.targets)]

    def _line(self, place: int, target: Target, room: int) -> Line:
        says = shorten(target.says, room)
        if not target.there:
            return [("    ", ""), (f"{target.title:<{_TITLE_CELLS}}", "dim"), (says, "dim")]
        here, click = "▌" if place == self.at else " ", self.click(place)
        return [
            (here, "accent"),
            (f"{target.key}  ", f"accent {click}"),
            (f"{target.title:<{_TITLE_CELLS}}", self.look(place)),
            (says, f"muted {click}"),
        ]
