"""Table cells of a request: session, lane, counts, restored share, state."""

from __future__ import annotations

from proxy.events.causes import CANCELLED_BY_YOU
from tui.client.figures import clock, count, percent, plural, ratio
from tui.client.records import ACTIVE, RequestPhase, RequestSnapshot
from tui.client.wire_text import shorten
from tui.screen.styled_line import Line, Span
from tui.screen.widgets.prefill_bar import prefill_bar

_REPEATS: dict[RequestPhase, tuple[str, str]] = {
    **dict.fromkeys(ACTIVE, ("…", "decode")),
    "done": ("✓", "ok"),
    "cancelled": ("⊘", "warn"),
    "lost": ("?", "warn"),
}
LANES = ("main", "subagent", "compaction", "auxiliary")
SESSION_CELLS = 6


def lane(name: str) -> Span:
    """A lane in its colour."""
    return (name, f"lane.{name}" if name in LANES else "muted")


def session(name: str) -> Span:
    """The first characters of a session's id, enough to distinguish sessions."""
    return (name[:SESSION_CELLS] if name else "-", "muted" if name else "dim")


def number(value: float | None, style: str = "") -> Span:
    """A count; a dot in place of zero."""
    return (count(value) if value else "·", style if value else "dim")


def restored_share(restored_tokens: int, prompt_tokens: int, *, known: bool = True) -> Span:
    """The share of a prompt that the cache restored; a dot where it is 0 and not `known`."""
    share = ratio(restored_tokens, prompt_tokens) if restored_tokens or known else None
    return (percent(share), "restored" if share else "dim")


def state(record: RequestSnapshot, cells: int) -> Line:
    """The state of a request: a bar during prefill, else a sign and words."""
    match record.phase:
        case "received":
            return [("◌ ", "muted"), ("sending", "muted")]
        case "queued":
            ahead = f"queued, {record.position} ahead" if record.position else "queued"
            return [("◌ ", "muted"), (shorten(ahead, cells - 2), "muted")]
        case "prefill":
            return prefill_bar(record.prefill, cells) if record.prefill is not None else []
        case "decode":
            return [("● ", "decode"), ("writing", "decode")]
        case "done":
            calls = f" · {plural(record.tool_calls, 'call')}" if record.tool_calls else ""
            return [("✓ ", "ok"), (shorten((record.stop_reason or "done") + calls, cells - 2), "muted")]
        case "cancelled":
            return cancelled(record.cause, cells)
        case "lost":
            return [("? ", "warn"), (shorten("end unknown", cells - 2), "muted")]
        case _:
            return failure(record.cause, record.error, record.repeat, cells)


def cancelled(cause: str, cells: int) -> Line:
    """That a request was cancelled, and by whom if not by its client."""
    words = cause if cause == CANCELLED_BY_YOU else "cancelled"
    return [("⊘ ", "warn"), (shorten(words, cells - 2), "warn")]


def failure(cause: str, message: str, repeat: tuple[float, RequestPhase] | None, cells: int) -> Line:
    """Why a request failed, and what became of it where the client repeated it."""
    if repeat is not None:
        moment, phase = repeat
        sign, style = _REPEATS.get(phase, ("✗", "bad"))
        line: Line = [("↻ ", "warn"), (clock(moment), "muted"), (f" {sign}", style)]
        room = cells - 2 - 8 - 2 - 2
        return [*line, (f"  {shorten(cause, room)}", "muted")] if room > 3 else line
    words = cause or "failed"
    if cells >= len(words) + 20 and message:
        words += f": {message}"
    return [("✗ ", "bad"), (shorten(words, cells - 2), "bad")]
