"""The state of a request in a cell, and the first part of a trace."""

from __future__ import annotations

import pytest

from proxy.events.types import ErrorInfo
from proxy.traces.schema import Trace, TraceRequest, TraceResponse
from tui.client.records import RequestPhase
from tui.screen.panes.request_cells import failure
from tui.screen.styled_line import plain_text
from tui.screen.trace_detail.opened_trace import OpenedTrace
from tui.screen.trace_detail.why_part import why_part


@pytest.mark.parametrize(
    ("repeat", "cells", "shown"),
    [
        (None, 20, "✗ engine died"),
        (None, 60, "✗ engine died: signal 9"),
        ((1000.0, "done"), 12, "↻ 00:16:40 ✓"),
        ((1000.0, "done"), 36, "↻ 00:16:40 ✓  engine died"),
        ((1000.0, "prefill"), 12, "↻ 00:16:40 …"),
        ((1000.0, "failed"), 12, "↻ 00:16:40 ✗"),
    ],
)
def test_a_failure_names_its_cause_or_its_repeat(
    repeat: tuple[float, RequestPhase] | None, cells: int, shown: str
) -> None:
    assert plain_text(failure("engine died", "signal 9", repeat, cells)) == shown


@pytest.mark.parametrize(
    ("response", "first"),
    [
        (
            TraceResponse(
                status=529, error=ErrorInfo(type="overloaded_error", message="x", cause="no upstream")
            ),
            "✗ No upstream",
        ),
        (
            TraceResponse(status=499, error=ErrorInfo(type="cancelled", message="x"), cancelled=True),
            "⊘ Cancelled: the client left before its answer began.",
        ),
        (TraceResponse(status=200), ""),
    ],
)
def test_the_overview_begins_with_what_went_wrong(response: TraceResponse, first: str) -> None:
    trace = Trace(id="req_1", time=1.0, request=TraceRequest(), response=response)
    assert plain_text(why_part(OpenedTrace(trace))[0].title) == first
