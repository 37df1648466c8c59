"""A question with several answers, each with what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tui.client.wire_text import wrap
from tui.screen.keymap import bindings, key_of
from tui.screen.screens.box import Box
from tui.screen.styled_line import Line, line_width

_NAME_CELLS = 8


class Alternative(NamedTuple):
    """One answer, by the name that its command has in the keymap, and its consequence."""

    name: str
    consequence: str


class ChooseScreen(Box[str]):
    """Asks `question`; its result is the name of the choice whose key was pressed, empty for none."""

    place = "choose"
    BINDINGS = bindings("choose")

    def __init__(self, question: str, choices: Sequence[Alternative], note: str = "") -> None:
        super().__init__()
        self._question = question
        self._choices = choices
        self._note = note

    @property
    def title_text(self) -> str:
        return self._question

    def lines(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for choice in self._choices:
            click = f"@screen.choose('{choice.name}')"
            name: Line = [
                (f" {key_of(f'choose.choose:{choice.name}')}", f"accent {click}"),
                (f" {choice.name:<{_NAME_CELLS}} ", click),
            ]
            indent = line_width(name)
            first, *more = wrap(choice.consequence, width - indent) or [""]
            lines.append([*name, (first, "muted")])
            lines += [[(" " * indent + part, "muted")] for part in more]
        note: list[Line] = [[(" " + part, "muted")] for part in wrap(self._note, width - 2)]
        return [*lines, *([[], *note] if self._note else [])]

    def action_choose(self, name: str) -> None:
        """Answer with this one, if it is among the choices."""
        if name in [choice.name for choice in self._choices]:
            self.dismiss(name)

    def no_answer(self) -> Any:
        return ""
