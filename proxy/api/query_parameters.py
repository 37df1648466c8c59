"""Query parameters of the host's own API: how they are read, and described."""

from __future__ import annotations

import math
from typing import Any

from fastapi import Request

from proxy.events.errors import InvalidRequest
from proxy.traces.listing.order import SORTS

DEFAULT_ROWS = 100
_KINDS = {
    "since": ("integer", "replay what the host still holds behind this `seq`; 0: all of it"),
    "limit": ("integer", f"rows at most, {DEFAULT_ROWS} if left out"),
    "before": ("string", "the id of the last row of the page above, or a time in epoch seconds"),
    "offset": ("integer", "rows to skip"),
    "around": ("string", "a trace's id or epoch seconds: that page of `limit` rows each which has it"),
    "brief": ("boolean", "without the bodies of the request and the ids of tokens"),
    "sort": ("string", f"{', '.join(SORTS)}: the largest or newest first; time if left out"),
    "reverse": ("boolean", "the smallest or oldest first"),
    "from": ("number", "epoch seconds; the oldest trace's if left out"),
    "until": ("number", "epoch seconds; now if left out"),
    "parts": ("integer", "into how many parts the time is divided at most"),
    "failed": ("boolean", "only calls whose result the client called an error"),
    "at": ("string", "the id of a request of the session's main lane; the newest if left out"),
    "q": ("string", "a filter, as `anyclaude-tui traces list --help` has them"),
    "with": ("string", "the id of the trace to compare with; left out: the request before it"),
    "drain": ("boolean", "only after the requests that run; new ones are told to retry meanwhile"),
    "settled": (
        "boolean",
        "once the engine is up with them, or they are taken back; after 5 s at the latest",
    ),
    "now": ("boolean", "do not wait for the requests that run"),
}


def parameters(*names: str) -> dict[str, Any]:
    """These for the document: the routes read them themselves, for errors in this API's shape."""
    described = []
    for name in names:
        kind, description = _KINDS[name]
        schema = {"type": kind}
        described.append({"name": name, "in": "query", "schema": schema, "description": description})
    return {"parameters": described}


def is_set(request: Request, name: str) -> bool:
    """Whether a boolean parameter is on."""
    return request.query_params.get(name, "") in ("1", "true")


def moment(request: Request, name: str) -> float | None:
    """Epoch seconds; None where the parameter is left out.

    Raises:
        InvalidRequest: it is no such number.
    """
    text = request.query_params.get(name, "")
    try:
        value = float(text) if text else None
    except ValueError:
        value = math.nan
    if value is not None and not 0 <= value < math.inf:
        raise InvalidRequest(f"{name}={text} is no time in epoch seconds")
    return value


def number(text: str, name: str) -> int:
    """The value of such a parameter.

    Raises:
        InvalidRequest: it is no number of 0 or more.
    """
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise InvalidRequest(f"{name}={text} is no number of 0 or more")
    return value
