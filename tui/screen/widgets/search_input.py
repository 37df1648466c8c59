"""The input for a text that is searched for in what is shown; how often it is there stands beside it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Canvas


class SearchInput(Horizontal):
    """Hidden until opened; searches while the user types, `enter` keeps the marks, `esc` takes them away."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear", show=False)]
    DEFAULT_CSS = """
    SearchInput { height: 1; display: none; background: $panel; }
    SearchInput.open { display: block; }
    SearchInput Label { width: 3; padding: 0 1; color: $accent; background: $panel; }
    SearchInput Input { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    SearchInput Input:focus { border: none; }
    SearchInput Canvas { width: 24; height: 1; background: $panel; }
    """

    class Changed(Message):
        """The text changed; `done` when the user has finished."""

        def __init__(self, query: str, done: bool) -> None:
            super().__init__()
            self.query = query
            self.done = done

    def __init__(self, placeholder: str) -> None:
        super().__init__()
        self._placeholder = placeholder
        self._note: Line = []

    def compose(self) -> ComposeResult:
        yield Label("/", markup=False)
        yield Input(placeholder=self._placeholder, compact=True)
        yield Canvas(lambda width, height: [self._note])

    @property
    def is_open(self) -> bool:
        return self.has_class("open")

    def open(self, query: str) -> None:
        """Show the input with `query` and focus it."""
        self.add_class("open")
        field = self.query_one(Input)
        field.value = query
        field.cursor_position = len(query)
        field.focus()

    def keep(self) -> None:
        """Close the input and keep the marks."""
        self._close(self.query_one(Input).value)

    def tell(self, note: Line) -> None:
        """Show how often the text is there."""
        self._note = note
        self.query_one(Canvas).paint()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self.post_message(self.Changed(event.value, done=False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._close(event.value)

    def action_clear(self) -> None:
        """Take the marks away."""
        self._close("")

    def _close(self, query: str) -> None:
        self.remove_class("open")
        self.post_message(self.Changed(query, done=True))
