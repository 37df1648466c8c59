"""Asks for a day or a time, to go there in the list."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from proxy.filters.moments import FORMS, moment_of
from tui.client.figures import day_and_clock
from tui.client.wire_text import wrap
from tui.screen.styled_line import Line
from tui.screen.trace_list.columns import day_name
from tui.screen.widgets.canvas import Canvas

_CELLS = 56
_ROWS = 3


class GoToScreen(ModalScreen[float | None]):
    """Returns epoch seconds, or None on esc; a time that cannot be read is answered below the input."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "dismiss(None)", "Stay", show=False),
    ]

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._problem = ""
        self._meant: float | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="go-to-box"):
            yield Canvas(lambda width, height: [[(" Go to a day or a time", "bold")]])
            yield Input(placeholder="yesterday, 3d, 14:30, 2026-11-28", compact=True)
            yield Canvas(self._lines, id="go-to-help")

    def on_mount(self) -> None:
        self.query_one("#go-to-help", Canvas).styles.height = _ROWS
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._look(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._look(event.value)
        if self._meant is not None:
            self.dismiss(self._meant)

    def _look(self, text: str) -> None:
        self._meant, self._problem = None, ""
        if text.strip():
            try:
                self._meant = moment_of(text.strip().lower(), now=self._clock())
            except ValueError as error:
                self._problem = str(error)
        self.query_one("#go-to-help", Canvas).paint()

    def _lines(self, width: int, height: int) -> list[Line]:
        if self._meant is not None:
            name = day_name(self._meant, self._clock())
            return [
                [(f" {name} {day_and_clock(self._meant)}", "accent")],
                [(" enter", "bold"), (" goes to the request at that time, or before it", "dim")],
            ]
        words = self._problem or f"Such as {FORMS}."
        return [
            [(f" {line}", "bad" if self._problem else "dim")]
            for line in wrap(words, _CELLS, whole_words=True)
        ]
