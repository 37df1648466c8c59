"""HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/): what browsers' network tools open."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from engine.wire.json_text import encode_json
from proxy.traces.schema import Trace

_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?")


def har_log(version: str) -> dict[str, Any]:
    """The log around the entries, which are to go into its `entries`."""
    return {"version": "1.2", "creator": {"name": "anyclaude-tui", "version": version}, "entries": []}


def har_entry(trace: Trace) -> dict[str, Any]:
    """One request; times in milliseconds, fields of ours begin with `_` as the format asks."""
    sent, times = trace.request, trace.timings
    query = f"?{sent.query}" if sent.query else ""
    body = encode_json(sent.body).decode()
    waited = times.first_byte if times.first_byte is not None else times.first_token
    done = times.done if times.done is not None else waited or 0.0
    wait = 1e3 * min(done, waited if waited is not None else done)
    return {
        "startedDateTime": datetime.fromtimestamp(trace.time, UTC).isoformat(timespec="milliseconds"),
        "time": 1e3 * done,
        "request": {
            "method": sent.method,
            "url": f"http://{_host(trace)}{sent.path}{query}",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": _pairs(sent.headers.items()),
            "queryString": _pairs(parse_qsl(sent.query, keep_blank_values=True)),
            "postData": {"mimeType": "application/json", "text": body},
            "headersSize": -1,
            "bodySize": len(body.encode()),
        },
        "response": _response(trace),
        "cache": {},
        "timings": {"send": 0, "wait": wait, "receive": max(0.0, 1e3 * done - wait)},
        "_id": trace.id,
        "_session": trace.session,
        "_lane": trace.lane,
        "_backend": trace.backend,
        "_model": trace.upstream_model or trace.model,
        "_usage": trace.usage.model_dump(),
        "_timings": times.model_dump(),
        "_cache": trace.cache.model_dump() if trace.cache else None,
        "_notes": trace.notes,
    }


def _host(trace: Trace) -> str:
    """Where the client found the host, by its own header; `localhost` where that is none."""
    told = next((value for name, value in trace.request.headers.items() if name.lower() == "host"), "")
    return told if _HOST.fullmatch(told) else "localhost"


def _response(trace: Trace) -> dict[str, Any]:
    got = trace.response
    if got.error is not None:
        content: Any = {"type": "error", "error": got.error.model_dump(), "partial": got.message}
    else:
        content = got.message
    text = encode_json(content).decode()
    return {
        "status": got.status,
        "statusText": _phrase(got.status),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": [],
        # Assembled from the stream, if it was one.
        "content": {"size": len(text.encode()), "mimeType": "application/json", "text": text},
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": -1,
    }


def _pairs(values: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
