"""The data of an event before it is read: every string in it safe to draw, every nesting of bounded depth."""

from __future__ import annotations

import json
from typing import Any

from tui.client.wire_text import block_text, line_text

DEPTH = 40


def cleaned(value: Any, depth: int = DEPTH) -> Any:
    """`value` (what JSON can hold) with `block_text` applied to each string and key; too deep becomes `…`."""
    if isinstance(value, str):
        return block_text(value)
    if not isinstance(value, dict | list | tuple):
        return value
    if depth <= 0:
        return "…"
    if isinstance(value, dict):
        return {block_text(str(key)): cleaned(item, depth - 1) for key, item in value.items()}
    return [cleaned(item, depth - 1) for item in value]


_TELLING = (
    "command",
    "file_path",
    "notebook_path",
    "path",
    "pattern",
    "url",
    "query",
    "skill",
    "description",
)


def one_line_arguments(arguments: dict[str, Any] | None, raw: str) -> tuple[str, str]:
    """A tool call's arguments as two one-line texts: what tells most, and the others as `name=value`.

    Arguments that could not be parsed are the raw text as it is.
    """
    if arguments is None:
        return line_text(raw, 400), ""
    first = next((name for name in _TELLING if isinstance(arguments.get(name), str)), None)
    if first is None and len(arguments) == 1:
        first = next(iter(arguments))
    rest = (f"{line_text(name, 60)}={_value(value)}" for name, value in arguments.items() if name != first)
    return "" if first is None else _value(arguments[first], 400), line_text("  ".join(rest), 400)


def _value(value: Any, limit: int = 120) -> str:
    if isinstance(value, str):
        return line_text(value, limit)
    return line_text(json.dumps(value, ensure_ascii=False, default=str), limit)
