"""The line in which a filter is typed."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label


class FilterLine(Horizontal):
    """Hidden until opened; narrows while typing, `enter` keeps the filter, `esc` takes it off."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear", show=False)]
    DEFAULT_CSS = """
    FilterLine { height: 1; display: none; background: $panel; }
    FilterLine.open { display: block; }
    FilterLine Label { width: 3; padding: 0 1; color: $accent; background: $panel; }
    FilterLine Input { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    FilterLine Input:focus { border: none; }
    """

    class Changed(Message):
        """Another query; `done` when the typing is over."""

        def __init__(self, query: str, done: bool) -> None:
            super().__init__()
            self.query = query
            self.done = done

    def compose(self) -> ComposeResult:
        yield Label("/", markup=False)
        yield Input(placeholder="words that must occur, !word for those that must not", compact=True)

    def open(self, query: str) -> None:
        """Show it with `query` in it and take the focus."""
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
        """Take the filter off."""
        self._close("")

    def _close(self, query: str) -> None:
        self.remove_class("open")
        self.post_message(self.Changed(query, done=True))
