from __future__ import annotations

import pytest

from proxy.traces.schema import TraceSummary
from tui.screen.panes.traces import COLUMNS

END = next(column for column in COLUMNS if column.title == "END")


@pytest.mark.parametrize(("marked", "shown"), [(False, "✓ end_turn"), (True, "◆ ✓ end_turn")])
def test_a_marked_trace_has_a_glyph(marked: bool, shown: str) -> None:
    row = TraceSummary(id="req_1", time=1.0, status=200, stop_reason="end_turn", marked=marked)
    assert "".join(text for text, _ in END.cell(row, 0.0, 22)) == shown


def cell(title: str, row: TraceSummary, cells: int) -> str:
    column = next(column for column in COLUMNS if column.title == title)
    return "".join(text for text, _ in column.cell(row, 0.0, cells))


def test_a_failed_trace_is_listed_by_its_cause_with_the_prompt_that_was_too_long() -> None:
    message = "prompt is too long: 360011 tokens > 262144 maximum"
    row = TraceSummary(id="req_1", time=1.0, status=400, error=message, cause="prompt too long")
    assert cell("END", row, 22) == "✗ prompt too long"
    assert cell("PROMPT", row, 6) == "360k"
