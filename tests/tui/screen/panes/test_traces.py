from __future__ import annotations

import pytest

from proxy.traces.schema import TraceSummary
from tui.screen.panes.traces import COLUMNS

END = next(column for column in COLUMNS if column.title == "END")


@pytest.mark.parametrize(("marked", "shown"), [(False, "✓ end_turn"), (True, "◆ ✓ end_turn")])
def test_a_marked_trace_has_a_glyph(marked: bool, shown: str) -> None:
    row = TraceSummary(id="req_1", time=1.0, status=200, stop_reason="end_turn", marked=marked)
    assert "".join(text for text, _ in END.cell(row, 0.0, 22)) == shown
