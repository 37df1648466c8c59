"""The bodies as they are: the client's request with its headers, the answer, and what was sent upstream."""

from __future__ import annotations

from typing import Any

from tui.client.figures import plural, size
from tui.client.wire_text import line_text, shorten
from tui.screen.styled_line import Line, label_rows
from tui.screen.trace_detail.opened_trace import OpenedTrace, json_size, pretty
from tui.screen.widgets.block_layout import Block, LazyText

_PREVIEW = 30  # lines of a body that is folded
_LONG = ("system", "tools", "messages")


def raw_part(opened: OpenedTrace) -> list[Block]:
    """The request's line, headers and body, and the answer's body, as JSON."""
    request, raw = opened.trace.request, opened.raw
    where = f"{request.method} {request.path}{'?' + request.query if request.query else ''}"
    headers = sorted((line_text(name), line_text(value)) for name, value in request.headers.items())

    def header_lines(width: int) -> list[Line]:
        return label_rows([(name, [(value, "")]) for name, value in headers], width)

    status = raw.response.status
    return [
        Block(
            [(line_text(where), "bold")],
            header_lines if headers else "(no headers)",
            plural(len(headers), "header"),
            open=True,
        ),
        _body("Request body", raw.request.body),
        _body(f"Answer body, HTTP {status}" if status else "Answer body", raw.response.message),
    ]


def upstream_part(opened: OpenedTrace) -> list[Block]:
    """To whom the request went and as what; what translation changed, and the body that was sent."""
    trace, raw = opened.trace, opened.raw
    if raw.upstream is None:
        return [Block([("Nothing was sent upstream.", "muted")]), *_notes(opened)]

    def facts(width: int) -> list[Line]:
        rows: list[tuple[str, Line]] = [
            ("backend", [(line_text(trace.backend), "")]),
            (
                "model",
                [(line_text(trace.upstream_model), ""), (f"   asked for {line_text(trace.model)}", "muted")],
            ),
        ]
        for name in ("messages", "tools"):
            mine, sent = _length(opened.body.get(name)), _length(opened.upstream.get(name))
            changed = f"   the client sent {mine}" if mine != sent else ""
            rows.append((name, [(str(sent), ""), (changed, "warn")]))
        rest = {name: value for name, value in opened.upstream.items() if name not in (*_LONG, "model")}
        rows.append(
            (
                "settings",
                [
                    (
                        shorten(", ".join(f"{key} {_short(value)}" for key, value in rest.items()), width),
                        "muted",
                    )
                ],
            )
        )
        return label_rows(rows, width, 12)

    return [
        Block([("Sent upstream", "bold")], facts, open=True),
        *_notes(opened),
        _body("Body", raw.upstream),
    ]


def _notes(opened: OpenedTrace) -> list[Block]:
    """What translation left out, folded or returned as text."""
    if not (notes := opened.trace.notes):
        return []
    title: Line = [("What translation changed", "bold")]
    return [Block(title, "\n".join(f"· {note}" for note in notes), plural(len(notes), "note"), open=True)]


def _body(title: str, value: Any) -> Block:
    if value is None or value == "":
        return Block([(title, "bold"), ("  (none)", "muted")])
    note = size(json_size(value))
    return Block([(title, "bold")], LazyText(lambda: pretty(value)), note, "json", preview=_PREVIEW)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _short(value: Any) -> str:
    return shorten(line_text(value if isinstance(value, str) else pretty(value)), 40)
