"""What a request does or did, in a cell: the call that it writes, its last words, the calls that it made."""

from __future__ import annotations

import json

from tui.client.records import AgentSnapshot, RequestSnapshot
from tui.client.reducers.requests import SAID
from tui.client.wire_text import ELLIPSIS, cut, line_text, shorten, width
from tui.screen.calls.call_words import calls_words, draft_words
from tui.screen.styled_line import Line


def doing(agent: AgentSnapshot, cells: int) -> Line:
    """What an agent does; while it waits or reads, what it does that for."""
    record = agent.current
    if record.phase not in ("received", "queued", "prefill"):
        return did(record, cells)
    earlier = [one for one in agent.requests if one is not record and one.received <= record.received]
    before = earlier[-1] if earlier else None
    if before is not None and before.calls and before.preview == record.preview:
        return [("→ ", "dim"), *calls_words(before.calls, before.tool_calls - len(before.calls), cells - 2)]
    return asked(record, cells)


def did(record: RequestSnapshot, cells: int) -> Line:
    """What a request has come to: a call, or the last words of its text."""
    if record.draft and record.active:
        return [("→ ", "tool"), *draft_words(record, cells - 2)]
    if record.calls:
        more = record.tool_calls - len(record.calls)
        return [("→ ", "tool"), *calls_words(record.calls, more, cells - 2)]
    if record.purpose == "title" and (title := _title(record.said)):
        return [(f"“{shorten(title, cells - 2)}”", "")]
    if record.said.strip() and (record.active or not record.thinks):
        words = last_words(record.said, cells) if record.active else last_paragraph(record.said, cells)
        return [(words, "thinking italic" if record.thinks else "")]
    return asked(record, cells)


def asked(record: RequestSnapshot, cells: int) -> Line:
    """The user's text."""
    if not record.preview:
        return [("·", "dim")]
    return [("› ", "accent"), (shorten(record.preview, cells - 2), "muted")]


def last_words(text: str, cells: int) -> str:
    """The end of a text on one line."""
    line = line_text(text)
    if width(line) <= cells:
        return line
    return ELLIPSIS + cut(line[::-1], max(0, cells - 1))[::-1].lstrip()


def last_paragraph(text: str, cells: int) -> str:
    """The last paragraph of a text from its beginning, or its end if its beginning is no longer held."""
    head, _, last = text.strip().rpartition("\n\n")
    if not head and len(text) >= SAID:
        return last_words(text, cells)
    return shorten(line_text(last), cells)


def _title(text: str) -> str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    title = found.get("title") if isinstance(found, dict) else None
    return line_text(title, 200) if isinstance(title, str) else ""
