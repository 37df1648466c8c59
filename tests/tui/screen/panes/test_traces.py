from __future__ import annotations

import pytest

from proxy.traces.schema import TraceSummary
from tests.tui.stage import drawn, loaded
from tests.tui.trace_samples import SampleHost
from tui.client.loaded_rows import PAGE, LoadedRows
from tui.client.records import Link
from tui.screen.app import ControlCenter
from tui.screen.panes.traces import columns

END = next(column for column in columns({}) if column.title == "END")


@pytest.mark.parametrize(("marked", "shown"), [(False, "✓ end_turn"), (True, "◆ ✓ end_turn")])
def test_a_marked_trace_has_a_glyph(marked: bool, shown: str) -> None:
    row = TraceSummary(id="req_1", time=1.0, status=200, stop_reason="end_turn", marked=marked)
    assert "".join(text for text, _ in END.cell(row, 0.0, 22)) == shown


def cell(title: str, row: TraceSummary, cells: int) -> str:
    column = next(column for column in columns({}) if column.title == title)
    return "".join(text for text, _ in column.cell(row, 0.0, cells))


def test_a_failed_trace_is_listed_by_its_cause_with_the_prompt_that_was_too_long() -> None:
    message = "prompt is too long: 360011 tokens > 262144 maximum"
    row = TraceSummary(id="req_1", time=1.0, status=400, error=message, cause="prompt too long")
    assert cell("END", row, 22) == "✗ prompt too long"
    assert cell("PROMPT", row, 6) == "360k"


def rows_of(*numbers: int) -> list[TraceSummary]:
    return [TraceSummary(id=f"req_{number}", time=float(number)) for number in numbers]


def ids(rows: LoadedRows) -> list[str | None]:
    return [row.id[4:] if row is not None else None for row in rows]


def test_pages_of_a_long_list_stay_in_place_while_rows_come() -> None:
    some = LoadedRows().with_page(0, rows_of(9, 8, 7), 6)
    assert ids(some) == ["9", "8", "7", None, None, None]
    more = some.with_page(4, rows_of(5, 4), 6)
    assert ids(more) == ["9", "8", "7", None, "5", "4"]
    moved = more.with_page(0, rows_of(10, 9, 8), 7)
    assert ids(moved) == ["10", "9", "8", "7", None, "5", "4"]
    assert moved[1] is some[0]
    assert moved.place_of("req_5") == 5
    assert ids(moved.with_page(0, rows_of(99, 98), 9)) == ["99", "98", *[None] * 7]
    assert ids(moved.with_page(0, rows_of(10), 1)) == ["10"]


async def test_the_end_of_a_long_list_is_its_end() -> None:
    app = ControlCenter(clock=lambda: 1000.0)
    app.client = host = SampleHost(rows_of(*range(5 * PAGE, 0, -1)))
    app.inbox.put(Link("live"))
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.main.traces.main_table

        async def press(*keys: str) -> None:
            for key in keys:
                await pilot.press(key)
                for _ in range(2):
                    app.frame()
                    await pilot.pause()
                    await loaded(app)

        await press("5", "G")
        assert table.selected is not None
        assert (table.selected.id, table.total) == ("req_1", 1000)
        assert host.asked == [("", 0), ("", 800)]
        await press("pageup", "enter")
        assert app.screen.query_one("#trace-title") is not None
        await press("p", "escape")
        assert table.selected.id == "req_19"
        host.rows = rows_of(1001, *range(1000, 0, -1))
        await press("r")
        assert (table.selected.id, len(table.rows)) == ("req_19", 1001)
        await press("home")
        assert drawn(table)[1].startswith("▌")
        died = rows_of(1003)[0].model_copy(update={"cause": "engine died", "error": "x", "status": 529})
        second = died.model_copy(update={"id": "req_1004", "time": 1004.0, "retry_of": died.id})
        third = rows_of(1005)[0].model_copy(update={"retry_of": second.id})
        host.rows = [third, second, died, *host.rows]
        await press("r")
        assert "↻ 00:16:45 ✓" in drawn(table)[2]
        assert "↻ 00:16:45 ✓" in drawn(table)[3]
        host.asked.clear()
        await pilot.press("slash", *"!req")
        await press("enter")
        assert host.asked[-1] == ("!req", 0)
        assert len(host.asked) < len("!req")
        assert len(table.rows) == 0
