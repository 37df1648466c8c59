"""Table cells of a request: session, lane, counts, restored share, state."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.configuration.known_backends import backend_kind
from proxy.events.causes import CANCELLED_BY_YOU
from tui.client.figures import clock, count, percent, plural, ratio, seconds
from tui.client.records import ACTIVE, RequestPhase, RequestSnapshot
from tui.client.wire_text import shorten
from tui.screen.charts import bar
from tui.screen.styled_line import Line, Span
from tui.screen.widgets.prefill_bar import prefill_bar

_REPEATS: dict[RequestPhase, tuple[str, str]] = {
    **dict.fromkeys(ACTIVE, ("…", "decode")),
    "done": ("✓", "ok"),
    "cancelled": ("⊘", "warn"),
    "lost": ("?", "warn"),
}
_ENDS = {"end_turn": "answered", "stop_sequence": "answered", "": "done"}
_BAR_WITH_TIME, _TIME_CELLS = 20, 6
LANES = ("main", "subagent", "compaction", "auxiliary")
SESSION_CELLS = 6


def asker(lane: str, who: str) -> Span:
    """Who asks, in the colour of the lane."""
    return (who, f"lane.{lane}" if lane in LANES else "muted")


def session(name: str) -> Span:
    """The first characters of a session's id, enough to distinguish sessions; a click leads there."""
    return (name[:SESSION_CELLS], "muted @app.to_session") if name else ("-", "dim")


def number(value: float | None, style: str = "") -> Span:
    """A count; a dot in place of zero."""
    return (count(value) if value else "·", style if value else "dim")


def restored_share(restored_tokens: int, prompt_tokens: int, *, known: bool = True) -> Span:
    """The share of a prompt that the cache restored; a dot where it is 0 and not `known`."""
    share = ratio(restored_tokens, prompt_tokens) if restored_tokens or known else None
    return (percent(share), "restored" if share else "dim")


def restored_bar(record: RequestSnapshot, cells: int) -> Line:
    """What of a prompt was restored and prefilled; nothing where that is not known."""
    prompt = record.prompt_tokens
    if not prompt or not record.reports_reuse:
        return [("·", "dim")]
    shares = (record.reused_tokens, "restored"), (record.prefilled_tokens or 0, "prefill")
    return bar([(tokens / prompt, style) for tokens, style in shares], cells)


def state(record: RequestSnapshot, cells: int) -> Line:
    """The state of a request: a bar during prefill, else a sign and words."""
    match record.phase:
        case "received":
            return [("◌ ", "muted"), ("sending", "muted")]
        case "queued":
            ahead = f"queued, {record.position} ahead" if record.position else "queued"
            return [("◌ ", "muted"), (shorten(ahead, cells - 2), "muted")]
        case "prefill":
            return _prefill(record, cells)
        case "decode":
            return [("● ", "decode"), (shorten(_writing(record), cells - 2), "decode")]
        case "done":
            return _done(record, cells)
        case "cancelled":
            return cancelled(record.cause, cells)
        case "lost":
            return [("? ", "warn"), (shorten("end unknown", cells - 2), "muted")]
        case _:
            return failure(record.cause, record.error, record.repeat, cells)


def _writing(record: RequestSnapshot) -> str:
    if record.draft:
        return f"writing call {record.tool_calls + 1}" if record.tool_calls else "writing a call"
    return "thinking" if record.thinks else "writing"


def _done(record: RequestSnapshot, cells: int) -> Line:
    """How an answer ended: with calls, of which some may have failed since, or in words."""
    failed = sum(call.failed is True for call in record.calls)
    words = plural(record.tool_calls, "call") if record.tool_calls else _ENDS.get(record.stop_reason, "")
    style = "muted" if words else "warn"
    line: Line = [("✓ ", "ok"), (shorten(words or record.stop_reason or "done", cells - 2), style)]
    return [*line, (f" {failed}✗", "bad")] if failed else line


def _prefill(record: RequestSnapshot, cells: int) -> Line:
    """A bar, and how long the rest of the prompt takes at the speed so far."""
    prefill = record.prefill
    if prefill is None:
        return []
    took, done = record.updated - record.prefill_began, prefill.done - prefill.cached
    if cells < _BAR_WITH_TIME or took < 0.5 or done <= 0:
        return prefill_bar(prefill, cells)
    rest = took * (prefill.total - prefill.done) / done
    left = f" ~{rest:.0f}s" if rest < 99.5 else f" ~{seconds(rest)}"
    return [*prefill_bar(prefill, cells - _TIME_CELLS), (f"{left:<{_TIME_CELLS}}", "muted")]


def cancelled(cause: str, cells: int) -> Line:
    """That a request was cancelled, and by whom if not by its client."""
    words = cause if cause == CANCELLED_BY_YOU else "cancelled"
    return [("⊘ ", "warn"), (shorten(words, cells - 2), "warn")]


def asked_models(records: Iterable[RequestSnapshot]) -> set[str]:
    """The models that were asked for, where that chooses one: our engine has one, whatever it is called."""
    return {one.model for one in records if one.model and backend_kind(one.backend) != "mlx"}


def failure(cause: str, message: str, repeat: tuple[float, RequestPhase] | None, cells: int) -> Line:
    """Why a request failed, and what became of it where the client repeated it."""
    if repeat is not None:
        moment, phase = repeat
        sign, style = _REPEATS.get(phase, ("✗", "bad"))
        line: Line = [("↻ ", "warn"), (clock(moment), "muted"), (f" {sign}", style)]
        room = cells - 2 - 8 - 2 - 2
        cause = cause.partition(" (")[0]
        return [*line, (f"  {shorten(cause, room)}", "muted")] if room >= min(len(cause), 6) else line
    words = cause or "failed"
    if len(words) > cells - 2:  # what stands in brackets says more of the same
        words = words.partition(" (")[0]
    if cells >= len(words) + 20 and message:
        words += f": {message}"
    return [("✗ ", "bad"), (shorten(words, cells - 2), "bad")]
