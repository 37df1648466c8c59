"""Asks for a day or a time, to go there in the list."""

from __future__ import annotations

from collections.abc import Callable

from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input

from proxy.filters.moments import FORMS, moment_of
from tui.client.figures import day_and_clock
from tui.client.wire_text import wrap
from tui.screen.keymap import bindings, key_of
from tui.screen.screens.box import Box
from tui.screen.styled_line import Line
from tui.screen.trace_list.columns import day_name
from tui.screen.widgets.canvas import Canvas

_ROWS = 4


class GoToScreen(Box["float | None"]):
    """Returns epoch seconds, or None on esc; a time that cannot be read is answered below the input."""

    place = "go_to"
    BINDINGS = bindings("go_to")
    title_text = "Go to a day or a time"

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._problem = ""
        self._meant: float | None = None

    def middle(self) -> Widget:
        help_lines = Canvas(lambda width, height: self._help_lines(width), id="go-to-help")
        return Vertical(Input(placeholder="yesterday, 3d, 14:30, 2026-11-28", compact=True), help_lines)

    def needed(self, width: int) -> int:
        return 1 + _ROWS

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._look(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_go()

    def action_go(self) -> None:
        """End with the time that was typed, if it is one."""
        self._look(self.query_one(Input).value)
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

    def _help_lines(self, width: int) -> list[Line]:
        if self._meant is not None:
            name = day_name(self._meant, self._clock())
            found: list[Line] = [[(f" {name} {day_and_clock(self._meant)}", "accent")]]
            after = f"{key_of('go_to.go')} goes to the request at that time, or before it"
            return found + [[(f" {part}", "dim")] for part in wrap(after, width - 2, whole_words=True)]
        words = self._problem or f"Such as {FORMS}."
        style = "bad" if self._problem else "dim"
        return [[(f" {line}", style)] for line in wrap(words, width - 2, whole_words=True)]
