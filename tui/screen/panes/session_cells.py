"""Cells of a session and of its agents: name, state, context gauge."""

from __future__ import annotations

from collections.abc import Sequence

from tui.client.figures import clock, count, percent, plural, ratio, seconds
from tui.client.records import AgentSnapshot, RequestSnapshot, SessionSnapshot, Snapshot
from tui.client.wire_text import shorten, width
from tui.screen.charts import bar
from tui.screen.panes.request_cells import failure, state
from tui.screen.styled_line import Line, Span, fit, line_width
from tui.screen.widgets.vital_signs import FULL, NEARLY_FULL

_GAUGE, _LABELLED = 10, 38  # cells
UNNAMED = "(nothing asked yet)"
_ASKING = frozenset({"AskUserQuestion", "ExitPlanMode"})  # tools of Claude Code whose result is your answer
NO_SESSION = "requests of clients that tell no session"


def session_name(found: SessionSnapshot, marks: Sequence[str], cells: int) -> Line:
    """What the session is about, and the `marks` that tell it from others."""
    words = found.name if found.id else NO_SESSION
    style = "bold" if found.active else "" if words else "dim"
    told: Line = []
    for mark in reversed(marks):
        if width(mark) + line_width(told) + 2 <= cells // 3:
            told = [("  ", ""), (mark, "muted"), *told]
    return [*fit([(words or UNNAMED, style)], cells - line_width(told)), *told]


def session_state(found: SessionSnapshot, now: float, cells: int) -> Line:
    """What runs of a session, else how it stands."""
    running = sum(record.phase != "queued" for record in found.active)
    if running:
        queued = len(found.active) - running
        words = f"{running} running" + (f", {queued} queued" if queued else f" of {len(found.requests):,}")
        words = f"{running}, ◌ {queued} queued" if queued and len(words) > cells - 2 else words
        return [("▶ ", "decode"), (shorten(words, cells - 2), "decode")]
    if found.active:
        return state(found.active[-1], cells)
    last = found.agents[0].requests[-1]
    if last.phase == "failed" and last.repeat is None:
        return failure(last.cause, last.error, None, cells)
    if runs_tool(last):
        return _tool_runs(last, now, cells)
    idle = f"idle {_clock(idle_s(found, now))}"
    words = f"{idle}, {plural(len(found.requests), 'request')}"
    words = words if len(words) <= cells - 2 else idle
    sign: Span = ("⊘ ", "warn") if last.phase == "cancelled" else ("✓ ", "ok")
    return [sign, (shorten(words, cells - 2), "muted")]


def idle_s(found: SessionSnapshot, now: float) -> float:
    """Whole minutes since something came, or seconds within the first one."""
    idle = max(0.0, now - found.updated)
    return idle // 60 * 60 if idle >= 60 else idle // 1


def runs_tool(record: RequestSnapshot) -> bool:
    """Whether the client is at a call of this answer: it runs the tool, or asks the user for permission."""
    waits = any(call.failed is None for call in record.calls)
    return record.phase == "done" and record.stop_reason == "tool_use" and waits


def _tool_runs(record: RequestSnapshot, now: float, cells: int) -> Line:
    took = _clock(max(0.0, now - (record.ended or record.updated)))
    if any(call.failed is None and call.name in _ASKING for call in record.calls):
        return [("▸ ", "warn"), (shorten(f"asks you {took}", cells - 2), "warn")]
    return [("▸ ", "tool"), (shorten(f"tool runs {took}", cells - 2), "muted")]


def _clock(passed: float) -> str:
    """A time that is still running, without more digits than one reads: 12s, 4m, 2h05m."""
    if passed < 60:
        return f"{passed // 1:.0f}s"
    return f"{passed // 60:.0f}m" if passed < 3600 else seconds(passed)


def agent_state(agent: AgentSnapshot, now: float, cells: int) -> Line:
    """How the current request of an agent stands."""
    record = agent.current
    if record is agent.requests[-1] and runs_tool(record):
        return _tool_runs(record, now, cells)
    calls = sum(one.tool_calls for one in agent.requests)
    if record.phase == "done" and agent.lane == "subagent" and calls:
        return [("✓ ", "ok"), (shorten(f"done, {plural(calls, 'call')}", cells - 2), "muted")]
    return state(record, cells)


def context_gauge(found: SessionSnapshot, window: int, cells: int) -> Line:
    """How full the window is after the last turn, and the turns until the client compacts, as both fit.

    `window`: in tokens; 0: not known, and the context is told in tokens.
    """
    held = found.context_tokens
    share = ratio(held, window)
    if not held or share is None:
        told = f"{count(held)} tokens of context" if held else ""
        return [(shorten(told, cells), "muted")]
    level = "lane.main" if share < NEARLY_FULL else "warn" if share < FULL else "bad"
    full: Line = [(f" {percent(share)}", "" if level == "lane.main" else level)]
    gauge: Line = [*bar([(min(1.0, share), level)], _GAUGE, shapes="█"), *full]
    left = found.turns_left(window)
    label: Line = [("context ", "muted")] if cells >= _LABELLED else []  # in all rows or in none
    for turns in _turns(left):
        line = [*label, *gauge, (" · ", "dim"), (turns, "warn" if left is not None and left < 3 else "muted")]
        if line_width(line) <= cells:
            return line
    return next((line for line in ([*label, *gauge], full) if line_width(line) <= cells), [])


def _turns(left: int | None) -> tuple[str, ...]:
    """The turns that are left, in ever fewer words."""
    if left is None:
        return ()
    many = plural(left, "turn")
    return (f"~{many} left", f"~{many}") if left else ("compacts next", "compacts")


def told_by_traces(snapshot: Snapshot) -> Line:
    """How many of the requests in the list are known by their traces alone, and since when not."""
    host, earlier = snapshot.host, snapshot.earlier
    told = snapshot.requests[:earlier]
    if not told or host is None:
        return []
    if told[-1].received < host.started:
        return [(f"  host started {clock(host.started)}; {earlier:,} before that by their traces", "dim")]
    return [(f"  the oldest {earlier:,} by their traces", "dim")]  # of a host that has its events no more
