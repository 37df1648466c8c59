"""The arguments of a tool call as what they are, in lines of a width."""

from __future__ import annotations

from typing import Any

from tui.client.wire_text import line_text
from tui.screen.calls.call_lines import argument_lines
from tui.screen.styled_line import Line
from tui.screen.trace_detail.opened_trace import pretty
from tui.screen.widgets.text_tail import wrap_line


def wrapped_call(name: str, arguments: Any, cells: int) -> list[Line]:
    """The lines of a call in so many cells; `arguments` are its input, whatever that is."""
    if isinstance(arguments, dict):
        looks = argument_lines(name, arguments)
        lines = (
            [line for key, value in arguments.items() for line in _field(key, value)]
            if looks is None
            else looks
        )
    else:
        lines = [[(text, "")] for text in pretty(arguments).split("\n")]
    return [part for line in lines for part in wrap_line(line, cells)] or [[("(no arguments)", "dim")]]


def _field(key: str, value: Any) -> list[Line]:
    first, *more = (value if isinstance(value, str) else pretty(value)).split("\n")
    return [[(f"{line_text(key, 60)}  ", "label"), (first, "")], *([("  " + text, "")] for text in more)]
