"""Parts of Lark grammars as llguidance reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.tool_calls.schemas.pattern_source import full_text_pattern


def literal(text: str) -> str:
    """A string literal that matches `text`."""
    return json.dumps(text, ensure_ascii=False)


# A few blanks, or a line break and its indentation: with unlimited white space a weak model could write
# nothing else.
_WHITE_SPACE = r"[ \t]{0,4}|\n[ \t]{0,40}"
_GUIDANCE = {"whitespace_pattern": _WHITE_SPACE}


def json_value(schema: Mapping[str, Any], *, lenient: bool = False) -> str:
    """An expression for the JSON values that fit `schema`.

    With `lenient`, keywords that llguidance does not know are ignored; without it, a grammar with them does
    not compile.
    """
    return "%json " + json.dumps({**schema, "x-guidance": _GUIDANCE | {"lenient": lenient}})


def choice(alternatives: list[str]) -> str:
    """One of several expressions."""
    return alternatives[0] if len(alternatives) == 1 else "(" + " | ".join(alternatives) + ")"


_MAX_LENGTH = 4000  # characters that a pattern counts


def text_pattern(schema: Mapping[str, Any], *, whole_lines: bool = False) -> str | None:
    """The source of a pattern for strings of the schema's length and pattern; None if the schema has neither.

    It leaves out what no such pattern can express: length and pattern together, look-around, references,
    great lengths. With `whole_lines`, counted text does not end with a line break, so that one behind it is
    layout.
    """
    bounds = _length(schema, whole_lines)
    source = schema.get("pattern")
    return full_text_pattern(source) if bounds is None and isinstance(source, str) else bounds


def is_counted(schema: Mapping[str, Any]) -> bool:
    """Whether `text_pattern` counts characters instead of using the schema's own pattern."""
    return _length(schema, whole_lines=False) is not None


def pattern_covers(schema: Mapping[str, Any]) -> bool:
    """Whether `text_pattern` expresses everything that a schema says about a string."""
    least, longest = schema.get("minLength", 0), schema.get("maxLength")
    if not is_counted(schema):
        counted = not least and longest is None
    else:
        counted = least <= _MAX_LENGTH and (longest is None or least <= longest <= _MAX_LENGTH)
    if "pattern" not in schema:
        return counted
    return not least and longest is None and text_pattern(schema) is not None


def _length(schema: Mapping[str, Any], whole_lines: bool) -> str | None:
    least, longest = schema.get("minLength", 0), schema.get("maxLength")
    least = least if isinstance(least, int) and 0 < least <= _MAX_LENGTH else 0
    longest = longest if isinstance(longest, int) and least <= longest <= _MAX_LENGTH else None
    if not least and longest is None:
        return None
    if not whole_lines or longest == 0:
        return f"(?s:.{{{least},{'' if longest is None else longest}}})"
    counted = f"(?s:.{{{max(least - 1, 0)},{'' if longest is None else longest - 1}}}[^\\n])"
    return counted if least else f"(?:{counted})?"
