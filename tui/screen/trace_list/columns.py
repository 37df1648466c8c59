"""The columns of the list of traces, and what a row's cells say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from proxy.events.causes import overflow_tokens
from tui.client.figures import clock, day_and_clock, plural, seconds, size
from tui.client.who import who_asks
from tui.client.wire_text import line_text, shorten, shorten_middle, width
from tui.screen.panes.request_cells import asker, cancelled, failure, number, restored_share, session
from tui.screen.styled_line import Line
from tui.screen.widgets.columns import Column

if TYPE_CHECKING:
    from proxy.traces.schema import CallSummary, TraceSummary
    from tui.client.records import RequestPhase

CLIENT_CLOSED_REQUEST = 499  # as `proxy.api.messages` records a request that the client cancelled
Repeats = Mapping[str, "tuple[float, RequestPhase]"]  # by failed request: when it was repeated, and the end
ARROW = " → "
_TIME_CELLS = 14
_WEEK_S = 6 * 86_400.0
_SORTED = {"time": "TIME", "took": "TOOK", "ttft": "TTFT", "tokens": "PROMPT", "cache": "REST.", "out": "OUT"}
SORT_OF = {title: sort for sort, title in _SORTED.items()}
USUAL = ("TIME", "SESSION", "WHO", "ASKED → DID", "END", "PROMPT", "REST.", "OUT", "TTFT", "TOOK")
HELP = {
    "TIME": "when it was received",
    "SESSION": "how its id begins",
    "WHO": "main, a kind of subagent, …",
    "MODEL": "that was asked for",
    "ASKED → DID": "the question, and what was done",
    "END": "how it ended; ◆ has a mark",
    "PROMPT": "tokens of the prompt",
    "REST.": "restored share of the prompt",
    "OUT": "tokens of the answer",
    "CALLS": "tool calls, and how many failed",
    "TTFT": "time to the first token",
    "TOOK": "from its arrival to the last byte",
    "SIZE": "of the trace's file",
}


def columns(
    repeats: Repeats,
    chosen: Sequence[str] = USUAL,
    sort: str = "time",
    reverse: bool = False,
    *,
    roomy: bool = True,
) -> tuple[Column[TraceSummary], ...]:
    """The chosen columns, in their usual order; that of the order is there too, with its direction.

    `repeats` may grow. On a `roomy` screen figures give way to what was asked.
    """
    by, asked = _SORTED.get(sort, "TIME"), 36 if roomy else 20
    time, name, end = (_TIME_CELLS, 10, 19) if roomy else (9, 8, 15)
    every: tuple[Column[TraceSummary], ...] = (
        Column("TIME", lambda row, now, cells: when(row.time, now, cells), _TIME_CELLS, least=time),
        Column("SESSION", lambda row, now, cells: [session(line_text(row.session))], 7, rank=6),
        Column("WHO", lambda row, now, cells: who(row, cells), 10, least=name, rank=5),
        Column("MODEL", lambda row, now, cells: _model(row, cells), 20, least=14, rank=9),
        Column("ASKED → DID", lambda row, now, cells: asked_and_did(row, cells), 44, least=asked, grow=3),
        Column("END", lambda row, now, cells: _end(row, cells, repeats), 19, least=end, most=28, grow=1),
        Column("PROMPT", lambda row, now, cells: [number(_prompt(row))], 6, "right", rank=3),
        Column("REST.", lambda row, now, cells: _restored(row), 5, "right", rank=4),
        Column("OUT", lambda row, now, cells: [number(row.usage.output_tokens, "muted")], 5, "right", rank=7),
        Column("CALLS", lambda row, now, cells: _calls(row), 5, "right", rank=8),
        Column("TTFT", lambda row, now, cells: [(seconds(row.ttft_s), "muted")], 5, "right", rank=8),
        Column("TOOK", lambda row, now, cells: [(seconds(row.duration_s), "")], 6, "right", rank=2),
        Column("SIZE", lambda row, now, cells: [(size(row.bytes), "muted")], 7, "right", rank=9),
    )
    titles = {*chosen, by}
    return tuple(
        _sorted_by(column, "↑" if reverse else "↓") if column.title == by else column
        for column in every
        if column.title in titles
    )


def _sorted_by(column: Column[TraceSummary], arrow: str) -> Column[TraceSummary]:
    """The column of the order, which no narrow screen drops, with room for its mark."""
    title = f"{column.title}{arrow}"
    return Column(
        title,
        column.cell,
        max(column.width, len(title)),
        column.align,
        max(column.minimum, len(title)),
        column.grow,
        column.most,
        rank=-1,
    )


def when(moment: float, now: float, cells: int) -> Line:
    """A moment: by the name of its day, or by its date; without the seconds where there is no room."""
    day, hour = day_name(moment, now), clock(moment)
    if cells >= _TIME_CELLS:
        return [(f"{day:<5} ", "dim"), (hour, "muted")]
    if day == "today":
        return [(hour, "muted")]
    return [(f"{day} ", "dim"), (hour[:5] if len(day) < 5 else f"{hour[:2]}h", "muted")]


def day_name(moment: float, now: float) -> str:
    """`today`, `Tue`, or the date as `11-21`."""
    try:
        there, here = datetime.fromtimestamp(moment), datetime.fromtimestamp(now)
    except (ValueError, OverflowError, OSError):
        return ""
    if there.date() == here.date():
        return "today"
    return f"{there:%a}" if 0 <= now - moment < _WEEK_S else day_and_clock(moment)[5:10]


def who(row: TraceSummary, cells: int) -> Line:
    """Who asked: a lane in its colour, a subagent by its kind, a side request by what it is for."""
    name = who_asks(row.lane, line_text(row.agent_type), line_text(row.purpose))
    return [asker(row.lane, shorten(name, cells))]


def asked_and_did(row: TraceSummary, cells: int) -> Line:
    """The last question in short, then what the answer did, which is what tells rows apart."""
    asked, did = line_text(row.preview, 400), did_line(row)
    wide = sum(width(text) for text, _ in did)
    if not did:
        return [(shorten(asked, cells), "muted")]
    room = max(cells - len(ARROW) - min(wide, max(cells * 3 // 5, cells - len(ARROW) - width(asked))), 0)
    if room < 8 and width(asked) > room:  # no word would be left of it
        return did
    return [(shorten(asked, room), "muted"), (ARROW, "dim"), *did]


def did_line(row: TraceSummary) -> Line:
    """The calls of an answer, a failed one marked, or how its text begins."""
    line: Line = []
    for call in row.did:
        line += [(", ", "dim")] if line else []
        line += call_words(call)
    if len(row.did) < row.tool_calls:
        line.append((f", +{row.tool_calls - len(row.did)}", "dim"))
    if line or not row.said:
        return line
    said = line_text(row.said, 400)
    return [(f"“{said}”" if row.purpose == "title" else said, "")]


def call_words(call: CallSummary) -> Line:
    """`Write notes.md`, and a cross where the client called its result an error."""
    words: Line = [(line_text(call.name, 80) or "?", "tool")]
    about = line_text(call.about, 80)
    words += [(f" {about}", "")] if about else []
    return [*words, (" ✗", "bad")] if call.is_error else words


def _end(row: TraceSummary, cells: int, repeats: Repeats) -> Line:
    if row.marked:  # no prune removes it
        return [("◆ ", "warn"), *_state(row, cells - 2, repeats)]
    return _state(row, cells, repeats)


def _state(row: TraceSummary, cells: int, repeats: Repeats) -> Line:
    if row.status == CLIENT_CLOSED_REQUEST:
        return cancelled(line_text(row.cause), cells)
    if row.error or row.status >= 400:
        cause, repeat = line_text(row.cause) or f"HTTP {row.status}", repeats.get(row.id)
        return failure(cause, line_text(row.error), repeat, cells)
    if row.tool_calls:
        line: Line = [("✓ ", "ok"), (plural(row.tool_calls, "call"), "muted")]
        return [*line, (f" {row.tool_errors}✗", "bad")] if row.tool_errors else line
    words = {"end_turn": "answered", "": "done"}.get(row.stop_reason, line_text(row.stop_reason))
    return [("✓ ", "ok"), (shorten(words, cells - 2), "warn" if row.stop_reason == "max_tokens" else "muted")]


def phase_of(row: TraceSummary) -> RequestPhase:
    """How a request ended."""
    if row.status == CLIENT_CLOSED_REQUEST:
        return "cancelled"
    return "failed" if row.error or row.status >= 400 else "done"


def _model(row: TraceSummary, cells: int) -> Line:
    return [(shorten_middle(line_text(row.model), cells), "muted")]


def _calls(row: TraceSummary) -> Line:
    if not row.tool_calls:
        return [("·", "dim")]
    return [(f"{row.tool_calls}", "tool"), (f"/{row.tool_errors}✗" if row.tool_errors else "", "bad")]


def _prompt(row: TraceSummary) -> int:
    return row.usage.prompt_tokens or overflow_tokens(row.error)


def _restored(row: TraceSummary) -> Line:
    known = row.backend == "mlx"
    return [restored_share(row.usage.cache_read_input_tokens, row.usage.prompt_tokens, known=known)]
