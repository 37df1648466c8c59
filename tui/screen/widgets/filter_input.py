"""The input for the filter of a list: errors and completions below it, while the user types."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label

from proxy.filters.completion import Completion, completions
from proxy.filters.language import parse_filter
from proxy.filters.terms import FIGURES, KEYS, FilterError
from tui.screen.keymap import with_keys
from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Canvas

GAP = "  "
_KNOWN = " ".join([*(f"{key.name}:" for key in KEYS), *(figure.name for figure in FIGURES), '"text" ! |'])

_FILTER = 'words, !word, "full text", tool:Bash, is:failed …'
_PLAIN = "a text to look for"
_AFTER = (
    "enter keeps it: then {health.match:-1} is the next one up, {health.match:1} down; esc ends the search"
)


class FilterInput(Vertical):
    """Hidden until opened; filters while the user types, `enter` keeps the filter, `esc` clears it.

    A filter that cannot be read yet changes nothing: the line below the input says what is wrong, else what
    the last word may become, of which `tab` takes the first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", show=False),
        Binding("tab", "complete", show=False),
    ]
    DEFAULT_CSS = """
    FilterInput { height: 2; display: none; background: $panel; }
    FilterInput.open { display: block; }
    FilterInput Horizontal { height: 1; }
    FilterInput Label { width: 3; padding: 0 1; color: $accent; background: $panel; }
    FilterInput Input { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    FilterInput Input:focus { border: none; }
    FilterInput Canvas { height: 1; background: $panel; }
    """

    class Changed(Message):
        """The query changed, and can be read; `done` when the user has finished."""

        def __init__(self, query: str, done: bool) -> None:
            super().__init__()
            self.query = query
            self.done = done

    def __init__(self) -> None:
        super().__init__()
        self._known: Mapping[str, Iterable[str]] = {}
        self._plain = False
        self._offered: list[Completion] = []
        self._error = ""

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Label("/", markup=False)
            yield Input(placeholder=_FILTER, compact=True)
        yield Canvas(self._help_line, id="filter-help")

    def open(
        self, query: str, known: Mapping[str, Iterable[str]] | None = None, *, plain: bool = False
    ) -> None:
        """Show the input with `query` and focus it; `known` are values of the rows, by key.

        With `plain` it is a text to look for, and any text can be read.
        """
        self._known = known or {}
        self._plain = plain
        self.query_one(Input).placeholder = _PLAIN if plain else _FILTER
        self.add_class("open")
        field = self.query_one(Input)
        field.value = query
        field.cursor_position = len(query)
        self.screen.set_focus(field)  # at once: what is typed next is meant for it
        self._look(query)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("open") and self._look(event.value):
            self.post_message(self.Changed(event.value, done=False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._look(event.value):
            self._close(event.value)

    def action_complete(self, place: int = 0) -> None:
        """Take the first completion, or the one at `place`."""
        if place < len(self._offered):
            field = self.query_one(Input)
            field.value = self._offered[place].query
            field.cursor_position = len(field.value)
            field.focus()

    def action_keep(self) -> None:
        """Keep the filter as it stands, if it can be read."""
        query = self.query_one(Input).value
        if self._look(query):
            self._close(query)

    def action_clear(self) -> None:
        """Clear the filter."""
        self._close("")

    def _look(self, query: str) -> bool:
        """Whether the query can be read; draws why not, or what it may become."""
        if self._plain:
            self._offered, self._error = [], ""
            self.query_one(Canvas).paint()
            return True
        self._offered, self._error = completions(query, self._known), ""
        try:
            parse_filter(query, now=time.time())
        except FilterError as error:
            # Where a key's value is still to come, what it may be helps more.
            self._error = "" if query.endswith(":") and self._offered else str(error)
            self.query_one(Canvas).paint()
            return False
        self.query_one(Canvas).paint()
        return True

    def _help_line(self, width: int, height: int) -> list[Line]:
        if self._error:
            return [[("   ", ""), (self._error, "bad")]]
        line: Line = [("   ", "")]
        for place, offered in enumerate(self._offered):
            click = f"@screen.filter_key('complete',{place})"
            style = "accent" if place == 0 else "muted"
            line += [(GAP if place else "", ""), (offered.word, f"{style} {click}")]
        if not self._offered:
            line.append((with_keys(_AFTER) if self._plain else _KNOWN, "dim"))
        else:
            first = self._offered[0]
            line += [(f"{GAP}tab", "bold"), (" takes ", "dim"), (first.word, "dim")]
            if first.help:
                line += [(f"{' ' if first.word.endswith(':') else ': '}{first.help}", "dim")]
        return [line]

    def _close(self, query: str) -> None:
        self.remove_class("open")
        self.post_message(self.Changed(query, done=True))
