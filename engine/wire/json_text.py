"""JSON bytes of anything that came over the wire, also of what strict encoders refuse."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

_DEEPEST = 200  # orjson stops at 254 levels, the standard library's recursion a little later


def encode_json(value: Any) -> bytes:
    """Encode as UTF-8 JSON; never raises.

    Lone surrogates, integers beyond 64 bits, NaN and very deep nesting pass JSON parsers and are refused by
    orjson. They are rare, so they cost only the values that have them: surrogates become `�`, NaN and
    infinities null, what lies deeper than 200 levels its own text.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(_encodable(value, 0), ensure_ascii=False).encode()


def _encodable(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    if depth >= _DEEPEST or not isinstance(value, dict | list | tuple):
        return plain_text(value)
    if isinstance(value, dict):
        return {_encodable(str(key), 0): _encodable(item, depth + 1) for key, item in value.items()}
    return [_encodable(item, depth + 1) for item in value]


def plain_text(value: Any) -> str:
    """A text for a value that cannot be taken apart any further; never raises."""
    try:
        text = str(value)
    except RecursionError:
        text = "[nested too deeply]"
    return well_formed(text)


def well_formed(text: str) -> str:
    """The text without unpaired surrogates, which JSON can carry as escapes."""
    # By way of UTF-16, where the halves of a pair find each other again.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
