"""Arguments as bare text between tags: which JSON values they are, and how they are written.

The tags of a call carry no types, so the tool's schema decides:

- only a string: the exact text; `null`, `5` and `true` stay strings;
- no string: JSON, or `True`, `False`, `None` and collections as Python prints them, since templates do;
  anything else stays text, and the verdict reports it;
- a string or another type: JSON (or `True`, `False`, `None`) without space around it, if its type is one of
  the others and the argument's schema accepts it; else text. A string that looks like another allowed type
  is read as that type: where `null` is allowed, the text `null` is null;
- no type named, or an argument that the schema does not name: JSON if it is an object, an array, a number or
  a boolean that the schema accepts; else text, `null` too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from engine.tool_calls.schemas.keywords import references_counted
from engine.tool_calls.schemas.tools import ToolSchema, json_type, parse_json
from engine.wire.python_text import parse_literal

_BARE_JSON = frozenset({"object", "array", "number", "boolean"})
_PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def string_piece(text: str) -> str:
    """Text as a part of a JSON string's content; such parts can be joined in any way."""
    inside = json.dumps(text, ensure_ascii=False)[1:-1]
    if inside.isascii():
        return inside
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", inside)


def argument_json(text: str, tool: ToolSchema, key: str) -> str:
    """The JSON of an argument that was written as `text`."""
    types = tool.types(key)
    if types == {"string"}:
        return _string(text)
    if types and "string" not in types:
        return text_as_json(text) or _string(text)
    found = _json(text, words=bool(types))
    if found is None:
        return _string(text)
    argument, value = tool.argument(key), parse_json(found)
    fits = _among(json_type(value), types - {"string"} or _BARE_JSON) and accepts(argument, value)
    exact = text == text.strip() or not accepts(argument, text)
    return found if fits and exact else _string(text)


def text_as_json(text: str) -> str | None:
    """The JSON of a text that is JSON or a value as Python prints it; None if it is neither."""
    found = _json(text, words=True)
    if found is None and text.lstrip()[:1] in ("{", "["):
        try:
            return json.dumps(parse_literal(text.strip()), ensure_ascii=False, allow_nan=False)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return None
    return found


def argument_text(value: Any) -> str:
    """An argument as chat templates print it between tags: strings bare, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def accepts(argument: ToolSchema, value: Any) -> bool:
    """Whether a value fits the schema of an argument; a schema that cannot be evaluated accepts all."""
    validator = argument.validator
    try:
        with references_counted():
            return isinstance(validator, str) or bool(validator.is_valid(value))
    except Exception:  # a schema may contain patterns and references of any kind
        return True


def _json(text: str, *, words: bool) -> str | None:
    text = text.strip()
    if words and text in _PYTHON_WORDS:
        return _PYTHON_WORDS[text]
    if text in ("NaN", "Infinity", "-Infinity"):
        return None
    try:
        parse_json(text)
    except ValueError:
        return None
    return text


def _string(text: str) -> str:
    return f'"{string_piece(text)}"'


def _among(kind: str, allowed: Collection[str]) -> bool:
    return kind in allowed or (
        kind in ("integer", "number") and not {"integer", "number"}.isdisjoint(allowed)
    )
