"""The rows of sessions in Health's timeline."""

from __future__ import annotations

from dataclasses import replace

from proxy.timeline.health_history import HealthHistory, Span
from tui.client.records import RequestSnapshot, Snapshot
from tui.client.timeline.view import Axis, TimelineView, session_rows
from tui.screen.health.timeline_rows import timeline_lines
from tui.screen.styled_line import plain_text

NOW = 1_000.0


def failed(key: str, session: str, *, repeated: bool) -> RequestSnapshot:
    record = RequestSnapshot(key, NOW - 60, NOW - 59, session=session, phase="failed", ended=NOW - 59)
    return replace(record, repeat=(NOW - 50, "done")) if repeated else record


def test_what_was_repeated_is_counted_apart_from_what_failed_for_good() -> None:
    requests = (
        failed("1", "s", repeated=True),
        failed("2", "s", repeated=True),
        failed("3", "s", repeated=False),
        failed("4", "t", repeated=True),
    )
    history = HealthHistory()
    history.spans.append(Span(NOW - 200, NOW - 190, "s", 1, 1, "of before this screen"))
    lines = [
        plain_text(line)
        for line in timeline_lines(history, Snapshot(requests=requests), TimelineView(), NOW, 120, 12)
    ]
    [of_s] = [line for line in lines if line.lstrip().startswith("s ")]
    [of_t] = [line for line in lines if line.lstrip().startswith("t ")]
    assert of_s.rstrip().endswith("4 requests 2✗ 2↻")
    assert of_t.rstrip().endswith("1 request 1↻")
    assert "✗" in of_t[:100]  # where it broke


def test_those_without_a_row_of_their_own_are_summed() -> None:
    requests = (failed("1", "s", repeated=True), failed("2", "t", repeated=True))
    [row] = session_rows(HealthHistory(), Snapshot(requests=requests), Axis(NOW - 300, 10.0, 30, NOW), 1)
    assert (row.others, row.requests, row.repeated) == (2, 2, 2)
