"""A tool call as what it is: a command, a file, the lines of a change; else its arguments."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any

from tui.client.wire_text import line_text, wrap
from tui.screen.styled_line import Line
from tui.screen.trace_detail.opened_trace import pretty

_LONGEST_CHANGE = 400  # lines on each side that are compared; longer ones are shown one below the other
_TEXTS = ("command", "content", "new_source", "old_string", "new_string", "prompt", "plan", "todos", "edits")


def call_lines(name: str, arguments: Any, cells: int) -> list[Line]:
    """The lines of a call in so many cells; `arguments` are its input, whatever that is."""
    if not isinstance(arguments, dict):
        return _text(pretty(arguments), "", cells)
    lines = [
        line for key, value in arguments.items() if key not in _TEXTS for line in _field(key, value, cells)
    ]
    match name, arguments:
        case ("Bash" | "BashOutput", {"command": str(command)}):
            lines = [*_text(f"$ {command}", "bold", cells), *lines]
        case ("Write" | "NotebookEdit", {"content": str(content)} | {"new_source": str(content)}):
            lines += _text(content, "ok", cells, "+ ")
        case ("Edit", {"old_string": str(old), "new_string": str(new)}):
            lines += change_lines(old, new, cells)
        case ("MultiEdit", {"edits": [*edits]}):
            for edit in edits:
                if isinstance(edit, dict):
                    lines += change_lines(str(edit.get("old_string")), str(edit.get("new_string")), cells)
        case ("TodoWrite", {"todos": [*todos]}):
            lines += [line for todo in todos for line in _todo(todo, cells)]
        case _:
            lines = [line for key, value in arguments.items() for line in _field(key, value, cells)]
    return lines or [[("(no arguments)", "dim")]]


def change_lines(old: str, new: str, cells: int) -> list[Line]:
    """The lines of a change, those that stay among them."""
    before, after = old.splitlines(), new.splitlines()
    if max(len(before), len(after)) > _LONGEST_CHANGE:
        return [*_text(old, "bad", cells, "- "), *_text(new, "ok", cells, "+ ")]
    lines: list[Line] = []
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            lines += [line for text in before[a:b] for line in _text(text, "muted", cells, "  ")]
            continue
        lines += [line for text in before[a:b] for line in _text(text, "bad", cells, "- ")]
        lines += [line for text in after[c:d] for line in _text(text, "ok", cells, "+ ")]
    return lines


def _field(key: str, value: Any, cells: int) -> list[Line]:
    text = value if isinstance(value, str) else pretty(value)
    key = line_text(key, 60)
    first, *more = text.split("\n")
    lines: list[Line] = []
    for number, part in enumerate(wrap(first, max(8, cells - len(key) - 2))):
        lead = (f"{key}  ", "label") if number == 0 else (" " * (len(key) + 2), "")
        lines.append([lead, (part, "")])
    return lines + [line for part in more for line in _text(part, "", cells, "  ")]


def _todo(todo: Any, cells: int) -> list[Line]:
    if not isinstance(todo, dict):
        return _text(pretty(todo), "", cells)
    signs = {"completed": ("✓ ", "ok"), "in_progress": ("▶ ", "decode")}
    sign = signs.get(str(todo.get("status")), ("· ", "muted"))
    return [[sign, *line] for line in _text(str(todo.get("content") or ""), "", cells - 2)]


def _text(text: str, style: str, cells: int, lead: str = "") -> list[Line]:
    room = max(8, cells - len(lead))
    return [
        [(lead, style), (part, style)] if lead else [(part, style)]
        for line in text.split("\n")
        for part in wrap(line, room)
    ]
