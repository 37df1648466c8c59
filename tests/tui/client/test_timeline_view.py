"""The rows of sessions in Health's timeline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.events.types import PAYLOADS
from proxy.timeline.buckets import HealthSample
from proxy.timeline.health_history import UNCLOSED, HealthHistory, Span, StateMark
from tui.client.records import RequestSnapshot, Snapshot
from tui.client.timeline.happened import happened
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


@pytest.mark.parametrize("gone", ["off", "exited", "stopped", "failed"])
def test_what_an_earlier_process_answered_and_held_is_not_of_now(gone: str) -> None:
    history = HealthHistory()
    history.marks.extend(
        [
            StateMark(NOW - 200, "ready"),
            StateMark(NOW - 100, gone),
            StateMark(NOW - 40, "host" if gone == "off" else gone),
            StateMark(NOW - 38, "starting"),
        ]
    )
    history.samples.add(
        NOW - 150, HealthSample(probes=1, latency_s=0.04, memory_bytes=7_000_000, limit_bytes=9_000_000)
    )
    view = TimelineView(range=1)
    probes, memory = (
        next(line for line in shown(history, view) if line.lstrip().startswith(name))
        for name in ("probes", "memory")
    )
    assert probes.rstrip().endswith("none yet")
    assert memory.rstrip().endswith(" ·")
    while_it_ran = TimelineView(range=1, cursor=NOW - 140)
    probes = next(line for line in shown(history, while_it_ran) if line.lstrip().startswith("probes"))
    assert probes.rstrip().endswith("40ms")
    until, again = (Axis(NOW - 300, 300 / 89, 89, NOW).place(NOW - ago) or 0 for ago in (90, 50))
    assert "▁" not in probes[13:][until:again]


def shown(history: HealthHistory, view: TimelineView) -> list[str]:
    return [plain_text(line) for line in timeline_lines(history, Snapshot(), view, NOW, 120, 12)]


def test_of_a_host_that_was_killed_it_is_said_when_it_was_last_seen() -> None:
    history = HealthHistory()
    history.marks.extend([StateMark(NOW - 60, "off", UNCLOSED), StateMark(NOW - 20, "host")])
    told = happened(Snapshot(), history, NOW - 61, NOW - 59, NOW).text
    assert "The host did not close: killed" in told
    assert "It was last seen at" in told
    assert "No host ran from" not in told


def test_a_request_that_was_refused_while_the_model_loaded_kept_no_engine_busy() -> None:
    def engine_row(*more: str) -> str:
        history = HealthHistory()
        told = [("engine.state", {"state": "loading"}, 60.0), ("request.received", {"session": "s"}, 31.0)]
        told += [(f"request.{name}", {}, 30.0) for name in more]
        told += [("engine.state", {"state": "ready"}, 29.0)]
        for type_, data, ago in told:
            history.observe(NOW - ago, type_, "r", PAYLOADS[type_].model_validate(data))
        [row] = [line for line in shown(history, TimelineView(range=0)) if line.lstrip().startswith("engine")]
        return row

    assert "█" not in engine_row()
    assert "█" in engine_row("queued")
