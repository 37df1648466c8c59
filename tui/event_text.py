"""The data of an event before it is read: every string in it safe to draw, every nesting of bounded depth."""

from __future__ import annotations

import json
from typing import Any

from tui.wire_text import block_text, line_text

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


def one_line_arguments(arguments: dict[str, Any] | None, raw: str) -> str:
    """A tool call's arguments as one line: the only value alone, more as `name=value`, else the raw text."""
    if arguments is None:
        return line_text(raw, 400)
    shown = [(name, _value(value)) for name, value in arguments.items()]
    if len(shown) == 1:
        return line_text(shown[0][1], 400)
    return line_text("  ".join(f"{line_text(name, 60)}={value}" for name, value in shown), 400)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return line_text(value, 200)
    return line_text(json.dumps(value, ensure_ascii=False, default=str), 200)
