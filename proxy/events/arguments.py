"""Which of a tool call's arguments says most about it. Pure, and free of pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TELLING = (
    "command",
    "file_path",
    "notebook_path",
    "pattern",
    "path",
    "url",
    "query",
    "skill",
    "description",
)
_PATHS = ("file_path", "notebook_path", "path")


def telling_argument(arguments: Mapping[str, Any]) -> str | None:
    """The name of the argument that says most: one of `TELLING`, else the only one."""
    first = next((name for name in TELLING if isinstance(arguments.get(name), str)), None)
    if first is None and len(arguments) == 1:
        first = next(iter(arguments))
    return first


def in_a_word(arguments: Mapping[str, Any], most: int) -> str:
    """A call's object in short, on one line: a file by its name alone; empty where no argument is a text."""
    name = telling_argument(arguments)
    value = arguments.get(name) if name is not None else None
    if not isinstance(value, str):
        return ""
    if name in _PATHS:
        value = value.replace("\\", "/").rstrip("/").rpartition("/")[2] or value
    return one_line(value, most)


def one_line(text: str, most: int) -> str:
    """The start of a text on one line, at most so many characters."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most else line[: most - 1] + "…"
