"""What the panes say alike: a lane, a state, a verdict each have one word, sign and look everywhere."""

from __future__ import annotations

from dataclasses import replace

from proxy.configuration.known_backends import backend_kind
from tui.client.figures import count, percent, plural, ratio, seconds
from tui.client.records import RequestRecord, ToolRecord, View
from tui.client.reducers.totals import INVALID_VERDICTS
from tui.client.wire_text import shorten
from tui.screen.lines import Line, Span, bar

LANES = ("main", "subagent", "compaction", "auxiliary")
ENGINE_LOOKS = {
    "ready": "ok",
    "busy": "decode",
    "starting": "warn",
    "loading": "warn",
    "restarting": "warn",
    "stalled": "bad",
    "exited": "bad",
    "failed": "bad",
    "stopped": "muted",
}
SESSION_CELLS = 6


def engine_word(view: View) -> Span:
    """The engine's state and its look."""
    if view.engine is None:
        return ("no host" if view.link.state == "ended" else "starting", "muted")
    if view.link.state in ("reconnecting", "ended"):
        return ("no contact", "warn")
    if elsewhere(view):
        return (view.host.backend if view.host else "", "ok")
    state = view.engine.state
    if state == "loading" and view.engine.progress is not None:
        return (f"loading {percent(view.engine.progress)}", "warn")
    return (state, ENGINE_LOOKS.get(state, "muted"))


def elsewhere(view: View) -> bool:
    """Whether the answers come from another server, so that this host has no engine to speak of."""
    return view.host is not None and bool(view.host.backend) and backend_kind(view.host.backend) != "mlx"


def lane(name: str) -> Span:
    """A lane in its colour."""
    return (name, f"lane.{name}" if name in LANES else "muted")


def session(name: str) -> Span:
    """The head of a session's id: enough to tell sessions apart."""
    return (name[:SESSION_CELLS] if name else "-", "muted" if name else "dim")


def number(value: float | None, look: str = "") -> Span:
    """A count; nothing is dimmed."""
    return (count(value) if value else "·", look if value else "dim")


def phase(record: RequestRecord, cells: int) -> Line:
    """Where a request stands: a bar while the prompt is read, then words."""
    match record.phase:
        case "received":
            return [("◌ ", "muted"), ("sending on", "muted")]
        case "queued":
            ahead = f"queued, {record.position} ahead" if record.position else "queued"
            return [("◌ ", "muted"), (shorten(ahead, cells - 2), "muted")]
        case "prefill":
            return prefill_bar(record, cells)
        case "decode":
            return [("● ", "decode"), ("writing", "decode")]
        case "done":
            calls = f" · {plural(record.tool_calls, 'call')}" if record.tool_calls else ""
            return [("✓ ", "ok"), (shorten((record.stop_reason or "done") + calls, cells - 2), "muted")]
        case "cancelled":
            return [("⊘ ", "warn"), ("client left", "warn")]
        case "lost":
            return [("? ", "warn"), (shorten("end not heard of", cells - 2), "muted")]
        case _:
            error = record.error.split(":", 1)[0] if cells < 30 else record.error
            return [("✗ ", "bad"), (shorten(error or "failed", cells - 2), "bad")]


def prefill_bar(record: RequestRecord, cells: int) -> Line:
    """The prompt so far: what the cache gave back, what was computed, what is to come."""
    total = record.prefill_total
    cached = ratio(record.prefill_cached, total) or 0.0
    done = ratio(record.prefill_done, total) or 0.0
    return [
        *bar([(cached, "reused"), (max(0.0, done - cached), "prefill")], max(1, cells - 5)),
        (f" {percent(done):>4}", "prefill"),
    ]


def verdict(call: ToolRecord) -> Span:
    """Whether a call fits its schema, and in the same few cells what made it fit."""
    name = call.verdict.replace("_", " ")
    if call.repaired:
        return (f"✓ {plural(len(call.repairs), 'repair')}", "warn")
    if call.verdict == "valid":
        return ("✓ relaxed" if call.relaxed else "✓ grammar" if call.constrained else "✓ valid", "ok")
    if call.verdict == "cut":
        return ("⊘ cut", "warn")
    if call.verdict in INVALID_VERDICTS:
        return (f"✗ {name}", "bad")
    return (f"· {name}", "muted")


def provenance(call: ToolRecord) -> Line:
    """The way of a call in one line: its text, who read it, what held or mended it, verdict, result."""
    word, look = verdict(replace(call, constrained=None, relaxed="", repaired=False))
    read_by = call.family or ("the upstream" if call.raw else "")
    size = f"{call.raw_tokens:,} tokens" if call.raw_tokens else plural(len(call.raw), "character")
    held = "a relaxed grammar" if call.relaxed else "a grammar" if call.constrained else ""
    tries = plural(len(call.repairs), "repair") if call.repairs else ""
    took = f" {seconds(call.duration_s)}" if call.duration_s is not None else ""
    came, came_look = outcome(call)
    steps: list[Span] = [
        (size if call.raw else "", "muted"),
        (f"read by {read_by}" if read_by else "", "muted"),
        (f"held by {held}" if held else "", "warn" if call.relaxed else "ok"),
        (tries, "warn"),
        (word, look),
        (came + took, came_look),
    ]
    line: Line = []
    for text, step_look in steps:
        if text:
            line += [(" → ", "dim"), (text, step_look)] if line else [(text, step_look)]
    return line


def outcome(call: ToolRecord) -> Span:
    """What came back."""
    if call.answered is None:
        return ("…", "dim")
    return ("✗ error", "bad") if call.is_error else ("✓ ok", "ok")
