"""What can be clicked: the filter and its completions, the notes of lists, and beside a box."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from textual.widgets import Input

from tests.tui.trace_samples import SampleHost, summaries
from tests.tui.traffic import Morning
from tui.client.records import Link
from tui.screen.app import ControlCenter
from tui.screen.screens.confirm import ConfirmScreen
from tui.screen.screens.help import HelpScreen
from tui.screen.screens.main import MainScreen
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.filter_input import FilterInput
from tui.screen.widgets.line_table import LineTable


@asynccontextmanager
async def screen() -> AsyncIterator[tuple[ControlCenter, Any]]:
    morning = Morning().play()
    app = ControlCenter(clock=lambda: morning.now)
    app.client = SampleHost(summaries(morning))
    async with app.run_test(size=(120, 40)) as pilot:
        for arrival in morning.arrivals():
            app.inbox.put(arrival)
        app.inbox.put(Link("live"))
        app.frame()
        await pilot.pause()
        yield app, pilot


async def click_on(pilot: Any, widget: Canvas, words: str) -> None:
    """Click on the first place where a line of `widget` has `words`."""
    for y in range(widget.size.height):
        x = widget.render_line(y).text.find(words)
        if x >= 0:
            await pilot.click(widget, offset=(x, y))
            await pilot.pause()
            return
    raise AssertionError(
        f"{words!r} is not in {[widget.render_line(y).text for y in range(widget.size.height)]}"
    )


async def test_filter_list_and_boxes_by_mouse_alone() -> None:
    async with screen() as (app, pilot):
        bar = app.main.query_one("KeyBar", Canvas)
        await click_on(pilot, bar, "/ filter")
        await pilot.press(*"lane:")
        field = app.main.query_one(FilterInput)
        await click_on(pilot, field.query_one(Canvas), "subagent")
        assert field.query_one(Input).value.strip() == "lane:subagent"
        assert field.query_one(Input).has_focus
        await click_on(pilot, bar, "keep the filter")
        assert not field.has_class("open")
        assert app.main.current.filter.strip() == "lane:subagent"
        await pilot.press("slash")
        await click_on(pilot, bar, "clear the filter")
        assert app.main.current.filter == ""

        # The note of a list goes to its newest row.
        await pilot.press("3", "end", "up", "up")
        table = app.main.current.query_one(LineTable)
        assert not table.following
        morning = Morning().play()
        before = len(morning.events)
        morning.request(calls=1)
        for event in morning.events[before:]:
            app.inbox.put(event)
        app.frame()
        await pilot.pause()
        headings = app.main.current.query(Heading)
        await click_on(pilot, next(one for one in headings if "newer" in one.render_line(0).text), "1 newer")
        assert table.following
        assert table.cursor == len(table.rows) - 1

        # A click beside a box closes it.
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.click(offset=(1, 1))
        await pilot.pause()
        assert isinstance(app.screen, MainScreen)
        answers: list[bool | None] = []
        await app.push_screen(ConfirmScreen("Quit?", "All ends.", "quit"), answers.append)
        await pilot.click("#confirm-box")
        assert answers == []
        await pilot.click(offset=(1, 1))
        await pilot.pause()
        assert answers == [False]
