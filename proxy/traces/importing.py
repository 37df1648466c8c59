"""Traces of earlier anyclaude versions: one JSON file a request.

It has `timestamp`, `mode`, `request` (`method`, `url`, `headers`, `body`) and `response` (`statusCode`,
`headers`, `body`), which may be missing. The body of a response is an Anthropic message, an error, or the
text of a stream, which stays a text.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import orjson

from proxy.events.types import ErrorInfo, Timings, Usage
from proxy.traces.reading import TraceDamaged
from proxy.traces.redaction.redact import Redactor, credentials_in, redacted_trace
from proxy.traces.schema import Trace, TraceRequest, TraceResponse

_NOTE = "imported from a trace of an earlier version; it has no timings and no cache verdict"
_MOST_LETTERS = 64  # of a backend's name, which becomes a folder
_COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


def imported_trace(content: bytes, name: str, redactor: Redactor) -> Trace:
    """The trace that an earlier version's file holds, redacted; the same content has the same id.

    Raises:
        TraceDamaged: it is no such file; `name` is what the error calls it.
    """
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise TraceDamaged(f"{name} is no JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(request := document.get("request"), dict):
        raise TraceDamaged(f"{name} is no trace of an earlier version: it has no request")
    try:
        at = datetime.fromisoformat(str(document.get("timestamp"))).timestamp()
    except (ValueError, OverflowError):
        raise TraceDamaged(f"{name} is no trace of an earlier version: it has no timestamp") from None
    if at < 0:  # the names of files, which are sorted, need four digits of a year
        raise TraceDamaged(f"{name} is no trace of an earlier version: it is of before 1970")
    try:
        url = urlsplit(str(request.get("url") or "/v1/messages"))
    except ValueError as error:
        raise TraceDamaged(f"{name} is no trace of an earlier version: {error}") from None
    body = request.get("body")
    headers = _headers(request.get("headers"))
    trace = Trace(
        id=f"req_{sha256(content).hexdigest()[:24]}",
        time=at,
        session=headers.get("x-claude-code-session-id", ""),
        backend=redactor.text(str(document.get("mode") or "imported"))[:_MOST_LETTERS],
        model=str(body.get("model") or "") if isinstance(body, dict) else "",
        request=TraceRequest(
            method=str(request.get("method") or "POST"), path=url.path, query=url.query, headers=headers
        ),
        response=_response(document.get("response")),
        timings=Timings(received=at),
        notes=[_NOTE],
    )
    trace.request.body = body
    trace.usage = _usage((trace.response.message or {}).get("usage"))
    return redacted_trace(trace, redactor.knowing(credentials_in(headers)))


def _response(given: Any) -> TraceResponse:
    if not isinstance(given, dict):
        error = ErrorInfo(type="api_error", message="the earlier version recorded no response")
        return TraceResponse(status=0, error=error)
    status = given.get("statusCode")
    answer = TraceResponse(status=status if isinstance(status, int) else 0)
    body = given.get("body")
    if isinstance(body, dict) and isinstance(fault := body.get("error"), dict):
        told = {name: str(fault.get(name) or "") for name in ("type", "message")}
        answer.error = ErrorInfo(**told)
    elif isinstance(body, dict):
        answer.message = body
    elif isinstance(body, str) and body:
        answer.message = {"content": [{"type": "text", "text": body}]}
    return answer


def _headers(given: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in given.items()} if isinstance(given, dict) else {}


def _usage(given: Any) -> Usage:
    if not isinstance(given, dict):
        return Usage()
    counts = {name: given.get(name) for name in _COUNTS}
    return Usage(**{name: value for name, value in counts.items() if isinstance(value, int) and value >= 0})
