"""One HTML page that holds everything: it loads nothing, runs nothing, and what it shows is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from html import escape
from typing import Any

from engine.wire.json_text import encode_json
from proxy.traces.analysis.comparing.diff import segments
from proxy.traces.schema import Trace

_STYLE = """
:root { color-scheme: light dark }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 12px/1.4 ui-monospace, monospace; margin: .4rem 0;
      padding: .6rem; border: 1px solid #8884; border-radius: 4px; max-height: 40rem; overflow: auto }
details { margin: .3rem 0 .3rem 1rem } summary { cursor: pointer }
article { border-top: 1px solid #8886; padding: .6rem 0 } .failed > h2 { color: #c33 }
h2 { font-size: 1rem; margin: .2rem 0 } table { border-collapse: collapse }
td, th { padding: .1rem .8rem .1rem 0; text-align: left; vertical-align: top }
"""
# Code points that the format forbids: controls, halves of characters, and those that are none.
_NO_HTML = re.compile(
    "[\0-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(17))
    + "]"
)
# No script, no address, no picture: whatever a prompt holds can do nothing here.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page_head(title: str) -> str:
    """What stands before the traces."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_safe(title)}</title><style>{_STYLE}</style></head>\n<body><h1>{_safe(title)}</h1>\n"
    )


PAGE_END = "</body></html>\n"


def page_article(trace: Trace) -> str:
    """One trace."""
    failed = ' class="failed"' if trace.response.error else ""
    return f'<article id="{_safe(trace.id)}"{failed}>{"".join(_article(trace))}</article>\n'


def _article(trace: Trace) -> Iterator[str]:
    usage, times, got = trace.usage, trace.timings, trace.response
    at = datetime.fromtimestamp(trace.time).astimezone().isoformat(sep=" ", timespec="seconds")
    yield f"<h2>{_safe(at)} · {_safe(trace.lane)} · {_safe(trace.id)}</h2>"
    reason = (got.message or {}).get("stop_reason") or ""
    rows = {
        "model": f"{trace.model} as {trace.upstream_model} on {trace.backend}",
        "session": trace.session,
        "answer": f"{got.status} {reason}",
        "error": f"{got.error.type}: {got.error.message}" if got.error else "",
        "tokens": f"{usage.prompt_tokens:,} in the prompt ({usage.cache_read_input_tokens:,} restored,"
        f" {usage.cache_creation_input_tokens:,} cached, {usage.input_tokens:,} not kept),"
        f" {usage.output_tokens:,} out",
        "times": ", ".join(
            f"{name.replace('_', ' ')} {value:.2f} s"
            for name, value in times.model_dump(exclude={"received", "engine"}, exclude_none=True).items()
        ),
        "engine": ", ".join(
            f"{name.removesuffix('_s').replace('_', ' ')} {value:.3f} s"
            for name, value in (times.engine.known() if times.engine else {}).items()
        ),
        "cache": _cache(trace),
        "notes": "; ".join(trace.notes),
    }
    cells = "".join(f"<tr><th>{name}</th><td>{_safe(text)}</td></tr>" for name, text in rows.items() if text)
    yield f"<table>{cells}</table>"
    yield _details("prompt", "".join(_details(one.name, _pre(one.text)) for one in segments(trace)))
    yield _details("answer", _pre(_pretty((got.message or {}).get("content"))), opened=True)
    for number, call in enumerate(trace.tool_calls, 1):
        became = f"call {number}: {call.name}, {call.verdict}"
        result = "" if call.result is None else "<p>result</p>" + _pre(call.result)
        yield _details(became, _pre(call.raw or _pretty(call.input)) + result)
    yield _details("request as the client sent it", _pre(_pretty(trace.request.body)))


def _cache(trace: Trace) -> str:
    if (cache := trace.cache) is None:
        return ""
    found = f"{cache.matched_tokens:,} of {cache.prompt_tokens:,} tokens from {cache.tier}"
    if (miss := cache.miss) is None:
        return found
    return f"{found}; missed: {miss.reason} at token {miss.position:,}: {miss.before!r} became {miss.now!r}"


def _details(title: str, inner: str, *, opened: bool = False) -> str:
    return f"<details{' open' if opened else ''}><summary>{_safe(title)}</summary>{inner}</details>"


def _pretty(value: Any) -> str:
    return encode_json(value).decode()


def _pre(text: str) -> str:
    return f"<pre>{_safe(text)}</pre>"


def _safe(text: str) -> str:
    return escape(_NO_HTML.sub("\ufffd", text))
