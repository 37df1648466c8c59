"""The data of an event before it is read: every string in it safe to draw, every nesting of bounded depth."""

from __future__ import annotations

import json
from typing import Any

from proxy.events.arguments import telling_argument
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


def one_line_arguments(arguments: dict[str, Any] | None, raw: str) -> tuple[str, str]:
    """A tool call's arguments as two one-line texts: what tells most, and the others as `name=value`.

    Arguments that could not be parsed are the raw text as it is.
    """
    if arguments is None:
        return line_text(raw, 400), ""
    first = telling_argument(arguments)
    rest = (f"{line_text(name, 60)}={_value(value)}" for name, value in arguments.items() if name != first)
    return "" if first is None else _value(arguments[first], 400), line_text("  ".join(rest), 400)


def _value(value: Any, limit: int = 120) -> str:
    if isinstance(value, str):
        return line_text(value, limit)
    return line_text(json.dumps(value, ensure_ascii=False, default=str), limit)
