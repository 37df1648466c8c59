"""A question with two answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.client.wire_text import wrap
from tui.screen.keymap import bindings
from tui.screen.screens.box import Box
from tui.screen.styled_line import Line


class ConfirmScreen(Box[bool]):
    """Asks `question`, with what follows from a yes; `yes` and `no` are the words at the keys."""

    place = "confirm"
    BINDINGS = bindings("confirm")

    def __init__(self, question: str, consequence: str, yes: str, no: str = "cancel") -> None:
        super().__init__()
        self._question = question
        self._consequence = consequence
        self._words = {"yes": yes, "close": no}

    @property
    def title_text(self) -> str:
        return self._question

    @property
    def words(self) -> Mapping[str, str]:
        return self._words

    def lines(self, width: int) -> list[Line]:
        return [[(" " + part, "muted")] for part in wrap(self._consequence, width - 2)]

    def action_yes(self) -> None:
        """Yes."""
        self.dismiss(True)

    def no_answer(self) -> Any:
        return False
