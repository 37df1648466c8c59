"""The live table: following, selecting, filtering, and how little it draws."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from textual.pilot import Pilot

from tests.tui.stage import Stage, drawn
from tui.screen.widgets.columns import Column
from tui.screen.widgets.line_table import LineTable


@dataclass(frozen=True)
class Row:
    key: str
    text: str = ""


def rows(count: int, start: int = 0) -> list[Row]:
    return [Row(f"{number}", f"text of {number}") for number in range(start, start + count)]


def table(*, newest_first: bool = False) -> LineTable[Row]:
    return LineTable[Row](
        (
            Column("KEY", lambda row, now, cells: [(row.key, "")], 6),
            Column("TEXT", lambda row, now, cells: [(row.text, "")], 10, grow=1),
        ),
        key=lambda row: row.key,
        search=lambda row: row.text,
        newest_first=newest_first,
        empty=[[("nothing", "muted")]],
    )


@asynccontextmanager
async def on_stage(view: LineTable[Row], height: int = 10) -> AsyncIterator[Pilot[None]]:
    async with Stage(view).run_test(size=(40, height)) as pilot:
        view.focus()
        await pilot.pause()
        yield pilot


async def test_it_follows_the_newest_row() -> None:
    view = table()
    async with on_stage(view) as pilot:
        assert drawn(view)[2] == "  nothing"
        view.show(rows(50), 0)
        await pilot.pause()
        assert drawn(view)[0].split() == ["KEY", "TEXT"]
        assert drawn(view)[-1].endswith("text of 49")
        view.show(rows(60), 0)
        await pilot.pause()
        assert drawn(view)[-1].startswith("▌59")
        assert view.following


async def test_moving_up_stops_following_and_end_resumes_it() -> None:
    view = table()
    async with on_stage(view) as pilot:
        view.show(rows(50), 0)
        await pilot.pause()
        await pilot.press("up", "up")
        assert (view.selected, view.following) == (Row("47", "text of 47"), False)
        before = drawn(view)
        view.show(rows(53), 0)
        await pilot.pause()
        assert drawn(view)[1:] == before[1:]
        assert view.pending == 3
        await pilot.press("end")
        assert view.selected == Row("52", "text of 52")
        assert (view.following, view.pending) == (True, 0)


async def test_the_selection_stays_on_its_row_when_old_ones_go() -> None:
    view = table()
    async with on_stage(view) as pilot:
        view.show(rows(50), 0)
        await pilot.press("up", "up", "up")
        view.show(rows(50, start=5), 0)
        assert view.selected == Row("46", "text of 46")
        await pilot.press("home")
        assert view.selected == Row("5", "text of 5")


async def test_with_the_newest_on_top_it_follows_there() -> None:
    view = table(newest_first=True)
    async with on_stage(view) as pilot:
        view.show(rows(50)[::-1], 0)
        await pilot.pause()
        assert view.selected == Row("49", "text of 49")
        view.show(rows(51)[::-1], 0)
        assert view.selected == Row("50", "text of 50")
        await pilot.press("down")
        view.show(rows(53)[::-1], 0)
        assert view.selected == Row("49", "text of 49")
        assert view.pending == 2


async def test_a_filter_selects_rows_and_reports_an_empty_result() -> None:
    view = table()
    async with on_stage(view) as pilot:
        view.show(rows(50), 0)
        view.set_filter("of 4 ")
        assert len(view.rows) == 14
        view.set_filter("of 49")
        await pilot.pause()
        assert view.selected == Row("49", "text of 49")
        view.set_filter("zebra")
        await pilot.pause()
        assert "Nothing matches zebra." in "\n".join(drawn(view))
        assert f"shows all ({view.total})." in "\n".join(drawn(view))
        view.set_filter("")
        assert len(view.rows) == 50


async def test_a_click_selects_and_a_double_click_opens() -> None:
    view = table()
    opened: list[str] = []
    async with on_stage(view) as pilot:
        view.show(rows(5), 0)
        await pilot.pause()
        await pilot.click(view, offset=(3, 2))
        assert view.selected == Row("1", "text of 1")
        view.action_open = lambda: opened.append("it")  # type: ignore[method-assign]
        await pilot.click(view, offset=(3, 2), times=2)
        assert opened == ["it"]
        await pilot.click(view, offset=(3, 0))
        assert view.selected == Row("1", "text of 1")


async def test_only_visible_rows_are_drawn_and_only_changed_ones_again() -> None:
    calls: list[str] = []

    def cell(row: Row, now: float, cells: int) -> list[tuple[str, str]]:
        calls.append(row.key)
        return [(row.text, "")]

    view = LineTable[Row]((Column("TEXT", cell, 10),), key=lambda row: row.key)
    async with on_stage(view) as pilot:
        many = rows(100_000)
        view.show(many, 0)
        await pilot.pause()
        assert len(set(calls)) < 40
        calls.clear()
        changed = [*many[:-2], Row("99998", "changed"), many[-1]]
        view.show(changed, 0)
        await pilot.pause()
        assert set(calls) == {"99998"}


async def test_a_row_is_data_whatever_is_in_it() -> None:
    view = table()
    async with on_stage(view) as pilot:
        view.show([Row("[/]", "[bold]x[/bold] [/a] \x1b[2J\nnext")], 0)
        await pilot.pause()
        assert drawn(view)[1] == "▌[/]     [bold]x[/bold] [/a] next"


async def test_it_draws_at_every_size() -> None:
    view = table()
    async with on_stage(view) as pilot:
        view.show(rows(30), 0)
        for size in ((1, 1), (3, 2), (200, 60), (20, 4)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        assert view.following
        assert drawn(view)[-1].startswith("▌29")


async def test_a_newest_row_that_the_filter_hides_makes_no_row_newer() -> None:
    view = table()
    async with on_stage(view) as pilot:
        view.show(rows(20), 0)
        await pilot.press("up")
        view.show(rows(22), 0)
        assert view.pending == 2
        view.set_filter('"of 2"|"of 18"')
        assert (view.selected, view.following) == (Row("18", "text of 18"), False)
        assert view.pending == 0


async def test_what_is_held_twice_counts_from_the_first_time() -> None:
    view = table()
    async with on_stage(view) as pilot:
        view.show(rows(50), 0)
        await pilot.press("up")
        view.show(rows(53), 0)
        view.hold()
        assert view.pending == 3


async def test_scrolled_away_from_the_newest_row_it_follows_no_more() -> None:
    view = table()
    async with on_stage(view) as pilot:
        view.show(rows(50), 0)
        await pilot.pause()
        view.scroll_to(y=0, animate=False, force=True)
        await pilot.pause()
        assert not view.following
        view.show(rows(53), 0)
        await pilot.pause()
        assert (view.selected, view.pending) == (Row("49", "text of 49"), 3)
        assert drawn(view)[1].endswith("text of 0")


async def test_a_column_that_says_the_same_of_each_row_is_left_out() -> None:
    view = table()
    async with on_stage(view):
        view.show(rows(2), 0)
        view.leave_out("KEY")
        assert drawn(view)[0].split() == ["TEXT"]
        view.leave_out()
        assert drawn(view)[0].split() == ["KEY", "TEXT"]


async def test_a_row_that_runs_is_drawn_once_a_moment_and_is_no_new_selection() -> None:
    moments: list[float] = []

    def cell(row: Row, now: float, cells: int) -> list[tuple[str, str]]:
        moments.append(now)
        return [(f"{row.text} {now:.0f}", "")]

    view = LineTable[Row]((Column("TEXT", cell, 20),), key=lambda row: row.key, is_active=lambda row: True)
    messages: list[object] = []
    async with on_stage(view) as pilot:
        view.show(rows(1), 1.0)
        await pilot.pause()
        moments.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(view, "post_message", messages.append)
            view.show([Row("0", "more")], 2.0)
        assert not [one for one in messages if isinstance(one, LineTable.Selected)]
        assert drawn(view)[1] == "▌more 2"
        await pilot.pause()
        assert moments == [2.0]
        assert view.selected == Row("0", "more")
