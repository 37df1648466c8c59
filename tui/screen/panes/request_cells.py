"""Table cells of a request: session, lane, counts, restored share, state."""

from __future__ import annotations

from tui.client.figures import count, percent, plural, ratio
from tui.client.records import RequestSnapshot
from tui.client.wire_text import shorten
from tui.screen.styled_line import Line, Span
from tui.screen.widgets.prefill_bar import prefill_bar

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


def restored_share(restored_tokens: int, prompt_tokens: int) -> Span:
    """The share of a prompt that the cache restored."""
    share = ratio(restored_tokens, prompt_tokens)
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
            return [("⊘ ", "warn"), ("cancelled", "warn")]
        case "lost":
            return [("? ", "warn"), (shorten("end unknown", cells - 2), "muted")]
        case _:
            error = record.error.split(":", 1)[0] if cells < 30 else record.error
            return [("✗ ", "bad"), (shorten(error or "failed", cells - 2), "bad")]
