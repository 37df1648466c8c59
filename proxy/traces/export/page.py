"""One HTML page that holds everything: it loads nothing, runs nothing, and what it shows is escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from html import escape
from itertools import groupby
from operator import itemgetter
from typing import Any

from engine.wire.json_text import encode_json
from proxy.events.causes import with_cause
from proxy.traces.analysis.comparing.diff import segments
from proxy.traces.schema import Trace
from proxy.traces.summary import summarize

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
    row = summarize(trace, "", 0)
    at = datetime.fromtimestamp(trace.time).astimezone().isoformat(sep=" ", timespec="seconds")
    asked = f": {row.preview}" if row.preview else ""
    yield f"<h2>{_safe(at)} · {_safe(trace.lane)}{_safe(asked)}</h2>"
    reason = (got.message or {}).get("stop_reason") or ""
    moments = times.model_dump(exclude={"received", "engine"}, exclude_none=True)
    rows = {
        "trace": trace.id,
        "model": f"{trace.model} as {trace.upstream_model} on {trace.backend}",
        "session": trace.session,
        "answer": f"{got.status} {reason}",
        "error": with_cause(row.cause, got.error.message) if got.error else "",
        "tokens": f"{usage.prompt_tokens:,} in the prompt ({usage.cache_read_input_tokens:,} restored,"
        f" {usage.cache_creation_input_tokens:,} cached, {usage.input_tokens:,} not kept),"
        f" {usage.output_tokens:,} out"
        if usage.prompt_tokens or usage.output_tokens
        else "",
        "times": ", ".join(f"{name.replace('_', ' ')} {_took(value)}" for name, value in moments.items()),
        "engine": ", ".join(
            f"{name.removesuffix('_s').replace('_', ' ')} {_took(value)}"
            for name, value in (times.engine.known() if times.engine else {}).items()
        ),
        "cache": _cache(trace),
        "notes": "; ".join(trace.notes),
    }
    cells = "".join(f"<tr><th>{name}</th><td>{_safe(text)}</td></tr>" for name, text in rows.items() if text)
    yield f"<table>{cells}</table>"
    yield _details("prompt", _prompt(trace))
    if got.message is not None:
        yield _details("answer", _answer(got.message), opened=True)
    for number, call in enumerate(trace.tool_calls, 1):
        ended = "" if call.is_error is None else ", failed" if call.is_error else ", went well"
        result = "" if call.result is None else "<p>result</p>" + _pre(call.result)
        title = f"call {number}: {call.name}, {call.verdict}{ended}"
        yield _details(title, _pre(call.raw or _pretty(call.input)) + result)
    yield _details("request as the client sent it", _pre(_pretty(trace.request.body)))


def _took(value: float) -> str:
    return f"{1e3 * value:.0f} ms" if value < 1.0 else f"{value:.2f} s"


def _prompt(trace: Trace) -> str:
    """Its segments; the definitions of the tools, which are many and long, behind one heading."""
    found = [(one.name, _details(one.name, _pre(one.text))) for one in segments(trace)]
    kinds = [(name.startswith("tool "), inner) for name, inner in found]
    parts = []
    for is_tool, group in groupby(kinds, key=itemgetter(0)):
        inner = [text for _, text in group]
        together = "".join(inner)
        parts.append(_details(f"{len(inner)} tools", together) if is_tool and len(inner) > 1 else together)
    return "".join(parts)


def _answer(message: dict[str, Any]) -> str:
    content = message.get("content")
    return "".join(map(_block, content)) if isinstance(content, list) else _pre(_pretty(content))


def _block(block: Any) -> str:
    """A block of an answer as a person reads it: texts as texts, a call by its arguments."""
    match block:
        case {"type": "text", "text": str(text)}:
            return _pre(text)
        case {"type": "thinking", "thinking": str(text)}:
            return _details("thinking", _pre(text))
        case {"type": "tool_use", "name": str(name), "input": dict(given)}:
            rows = "".join(
                f"<tr><th>{_safe(key)}</th><td>{_value(value)}</td></tr>" for key, value in given.items()
            )
            return _details(f"calls {name}", f"<table>{rows}</table>", opened=True)
    return _pre(_pretty(block))


def _value(value: Any) -> str:
    return _pre(value if isinstance(value, str) else _pretty(value))


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
    """As JSON with a line for each value; by way of `encode_json`, which takes whatever came."""
    return json.dumps(json.loads(encode_json(value)), indent=2, ensure_ascii=False)


def _pre(text: str) -> str:
    return f"<pre>\n{_safe(text)}</pre>"  # a browser drops the first line break, so that it is not the text's


def _safe(text: str) -> str:
    return escape(_NO_HTML.sub("\ufffd", text))
