"""The first line of an opened trace: when, whose, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.anthropic.side_requests import purpose
from proxy.events.causes import cause_of
from tui.client.figures import day_and_clock, seconds
from tui.client.who import who_asks
from tui.client.wire_text import line_text, shorten, shorten_middle
from tui.screen.panes.request_cells import asker, cancelled, session
from tui.screen.styled_line import Line, spread
from tui.screen.trace_detail.opened_trace import OpenedTrace

if TYPE_CHECKING:
    from proxy.traces.schema import Trace

ENDS = {"end_turn": "answered", "tool_use": "called tools"}  # in the words of the lists


def answered_by(trace: Trace) -> str:
    """The model that answered, which may be another than its client asked for by name."""
    sent = line_text(trace.upstream_model)
    folder = sent.rstrip("/").rsplit("/", 1)[-1] if sent.startswith("/") else sent
    return folder or line_text(trace.model)


def trace_headline(opened: OpenedTrace, width: int) -> Line:
    """It in `width` cells."""
    trace, turns = opened.trace, opened.turns
    left: Line = [(" trace  ", "accent bold"), (day_and_clock(trace.time), ""), ("  ", "")]
    body = trace.request.body if isinstance(trace.request.body, dict) else {}
    who = who_asks(trace.lane, line_text(trace.agent_type), purpose(body, trace.lane))
    left += [session(line_text(trace.session)), ("  ", ""), asker(trace.lane, who)]
    if turns is not None and trace.session:
        left.append((f", turn {turns.number:,} of {turns.total:,}", "muted"))
    if width >= 100:
        left += [("  ", ""), (shorten_middle(answered_by(trace).rsplit("/", 1)[-1], 28), "muted")]
    response = trace.response
    if response.cancelled:
        end: Line = cancelled(line_text(response.error.cause) if response.error else "", 24)
    elif (error := response.error) is not None:
        cause = line_text(error.cause) or cause_of(line_text(error.type), error.message)
        end = [("✗ ", "bad"), (shorten(cause, 30), "bad")]
    else:
        stop = line_text(opened.stop_reason)
        reason = ENDS.get(stop, stop) or str(response.status)
        end = [("✓ ", "ok"), (shorten(reason, 24), "muted")]
    took = (f"  {seconds(trace.timings.done)} ", "bold")
    return spread(left, [*end, took], width)
