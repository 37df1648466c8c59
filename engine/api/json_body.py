"""The JSON body of a request, and what is said of one that cannot be served."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from engine.wire.json_text import well_formed


class InvalidChatRequest(ValueError):
    """A request that cannot be served as it is; answered with status 400. `param` names what is wrong."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


def parse_body(body: bytes) -> dict[str, Any]:
    """The JSON object of a request's body; half surrogate pairs in it become replacement characters.

    Raises:
        InvalidChatRequest: it is no JSON object.
    """
    try:
        value = orjson.loads(body)
    except ValueError:
        value = _lenient(body)
    if not isinstance(value, dict):
        raise InvalidChatRequest("the request body must be a JSON object")
    return value


def _lenient(body: bytes) -> Any:
    try:
        return _checked(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise InvalidChatRequest(f"the request body is not valid JSON: {error}") from error


def _checked(value: Any) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, list):
        return [_checked(item) for item in value]
    if isinstance(value, dict):
        return {_checked(key): _checked(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is not finite")
    return value
