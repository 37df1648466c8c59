"""The input for the filter of a list."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label


class FilterInput(Horizontal):
    """Hidden until opened; filters while the user types, `enter` keeps the filter, `esc` clears it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear", show=False)]
    DEFAULT_CSS = """
    FilterInput { height: 1; display: none; background: $panel; }
    FilterInput.open { display: block; }
    FilterInput Label { width: 3; padding: 0 1; color: $accent; background: $panel; }
    FilterInput Input { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    FilterInput Input:focus { border: none; }
    """

    class Changed(Message):
        """The query changed; `done` when the user has finished."""

        def __init__(self, query: str, done: bool) -> None:
            super().__init__()
            self.query = query
            self.done = done

    def compose(self) -> ComposeResult:
        yield Label("/", markup=False)
        yield Input(placeholder="words to find, !word to exclude", compact=True)

    def open(self, query: str) -> None:
        """Show the input with `query` and focus it."""
        self.add_class("open")
        field = self.query_one(Input)
        field.value = query
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("open"):
            self.post_message(self.Changed(event.value, done=False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._close(event.value)

    def action_clear(self) -> None:
        """Clear the filter."""
        self._close("")

    def _close(self, query: str) -> None:
        self.remove_class("open")
        self.post_message(self.Changed(query, done=True))
