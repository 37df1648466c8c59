"""Requests as a shell script that asks them again with curl. Nothing of a trace is ever read by the shell.

A body stands in a here-document whose delimiter is quoted, on one line that begins as JSON does; all else is
in single quotes. The token of a host comes from the environment, and through a descriptor: arguments of a
process are there for every user of the machine to read.
"""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime
from urllib.parse import quote

from engine.wire.json_text import encode_json
from proxy.traces.redaction.redact import is_secret_header
from proxy.traces.redaction.secret_shapes import REDACTED
from proxy.traces.schema import Trace

# What curl sets by itself, or what belongs to the connection of then.
_LEFT_OUT = frozenset(
    ("host", "content-length", "content-type", "connection", "accept-encoding", "transfer-encoding", "expect")
)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_NO_NAME = re.compile(r"[^A-Za-z0-9./:@_-]+")
_METHOD = re.compile(r"[A-Z]{1,20}")
_URL_CHARACTERS = "/%:@!$&'()*+,;=-._~?"


def script_head(url: str) -> str:
    """What stands before the requests; `url` is that of the host, which the environment may replace."""
    return (
        "#!/bin/sh\n"
        "# Requests from traces of anyclaude-tui. Where a secret was, there is [redacted].\n"
        "# ANYCLAUDE_URL names another host; a host with a token wants ANYCLAUDE_TOKEN.\n"
        f"url=${{ANYCLAUDE_URL:-{_in_default(url)}}}\n"
    )


def curl_command(trace: Trace) -> str:
    """One request, as its client sent it."""
    sent = trace.request
    method = sent.method if _METHOD.fullmatch(sent.method) else "POST"
    path = quote("/" + sent.path.lstrip("/"), safe=_URL_CHARACTERS, errors="replace")
    query = "?" + quote(sent.query, safe=_URL_CHARACTERS, errors="replace") if sent.query else ""
    at = datetime.fromtimestamp(trace.time, UTC).isoformat(timespec="seconds")
    lines = [
        f"curl --no-progress-meter --no-buffer --globoff --path-as-is -X {method}",
        f'"$url"{shlex.quote(path + query)}',
        "-H 'content-type: application/json'",
        *(
            f"-H {shlex.quote(f'{name}: {value}')}"
            for name, value in sorted(sent.headers.items())
            if _kept(name, value)
        ),
        "-H @/dev/fd/3 --data-binary @- 3<<END_OF_TOKEN <<'END_OF_BODY'",
    ]
    body = encode_json(sent.body).decode()
    return (
        f"\n# {at} {trace.id}, answered by {_NO_NAME.sub('_', trace.upstream_model)[:100] or 'nobody'}\n"
        + " \\\n  ".join(lines)
        + "\n${ANYCLAUDE_TOKEN:+authorization: Bearer $ANYCLAUDE_TOKEN}\nEND_OF_TOKEN\n"
        + body
        + "\nEND_OF_BODY\n"
    )


def _kept(name: str, value: str) -> bool:
    plain = _HEADER.fullmatch(name) and value.isascii() and value.isprintable() and REDACTED not in value
    return bool(plain) and name.lower() not in _LEFT_OUT and not is_secret_header(name)


def _in_default(url: str) -> str:
    """An address inside `${NAME:-…}`: only characters that mean nothing there."""
    return quote(url, safe="/:.-_[]%", errors="replace")
