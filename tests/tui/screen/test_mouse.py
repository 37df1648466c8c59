"""What can be clicked: the filter and its completions, the notes of lists, and beside a box."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.widgets import Input

from tests.tui.stage import drawn, loaded
from tests.tui.trace_samples import SampleHost, summaries
from tests.tui.traffic import SESSIONS, Morning
from tui.client.records import Link
from tui.screen.app import ControlCenter
from tui.screen.panes.session_order import remembered_order
from tui.screen.panes.streams import StreamsPane
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


async def test_the_note_of_each_part_leads_to_what_is_out_of_sight_there() -> None:
    async with screen() as (app, pilot):
        pane = app.main.current
        assert isinstance(pane, StreamsPane)
        await pilot.press("end", "left", "right", "end")
        assert pane.session == SESSIONS[0]
        other, before = Morning().play(), len(Morning().play().events)
        other.request(session=0, until="decode")
        for event in other.events[before:]:
            app.inbox.put(event)
        app.frame()
        app.draw_state()  # the frame may wait for its turn
        await pilot.pause()
        await click_on(pilot, pane.query_one("#turns-heading", Heading), "newer")
        assert (pane.turns.following, pane.turns.cursor, pane.session) == (True, 0, SESSIONS[0])

        pane.answer.tail.add([("one more line\n" * 300, "")])
        await pilot.press("enter", "home")
        pane.answer.tail.add([("one more line\n" * 3, "")])
        pane.update()
        await click_on(pilot, pane.answer.query_one(Heading), "below")
        assert pane.answer.tail.following

        await pilot.press("escape", "escape", "down", "up", "down")
        assert not pane.main_table.following
        await click_on(pilot, pane.query_one("#sessions-heading", Heading), "home")
        assert pane.main_table.following

        await pilot.press("4")
        log = app.main.current.query_one(LineTable)
        await pilot.press("up")
        log.show([*log.everything, log.everything[0]], app.main.current.now)
        app.main.current._draw_headings()  # type: ignore[attr-defined]
        await click_on(pilot, app.main.current.query_one("#log-heading", Heading), "newer")
        assert log.following


@pytest.mark.parametrize(
    ("place", "table"),
    [("cache", "#held"), ("cache", "#misses"), ("tools", "LineTable"), ("traces", "LineTable")],
)
async def test_a_click_on_a_session_s_id_in_a_row_leads_there_and_elsewhere_selects_the_row(
    place: str, table: str
) -> None:
    async with screen() as (app, pilot):
        app.main.action_pane(place)
        await loaded(app)
        app.frame()
        await pilot.pause()
        rows = app.main.current.query_one(table, LineTable)
        shown = enumerate(rows.render_line(y).text for y in range(rows.size.height))
        found = ((y, text.find(one[:6]), one) for y, text in shown for one in SESSIONS)
        line, at, id = next(one for one in found if one[1] >= 0)
        await pilot.click(rows, offset=(at + 30, line))
        await loaded(app)
        assert (app.main.current.place, app.main.current.session) == (place, id)
        await pilot.click(rows, offset=(at + 5, line))
        await loaded(app)
        await pilot.pause()
        assert (app.main.current.place, app.main.current.session) == ("streams", id)
        await pilot.press("escape")
        await loaded(app)
        assert app.main.current.place == place


async def test_parts_that_come_to_light_have_their_content_at_once() -> None:
    async with screen() as (app, pilot):
        pane = app.main.current
        assert isinstance(pane, StreamsPane)
        await pilot.press("end")
        assert not pane.has_class("wide")
        await pilot.press("vertical_line")
        await pilot.pause()
        assert "Bash" in "\n".join(drawn(pane.feed.calls))
        await pilot.press("vertical_line")
        await pilot.resize_terminal(200, 50)
        await pilot.pause()
        assert "Bash" in "\n".join(drawn(pane.feed.calls))


async def test_the_order_of_the_sessions_is_in_the_heading_which_changes_it_and_it_is_remembered() -> None:
    async with screen() as (app, pilot):
        pane = app.main.current
        assert isinstance(pane, StreamsPane)
        heading = pane.query_one("#sessions-heading", Heading)
        before = [row.key for row in pane.main_table.rows if row is not None]
        assert "s sort: activity" in drawn(heading)[0]
        await click_on(pilot, heading, "sort: activity")
        assert "s sort: name" in drawn(heading)[0]
        assert app.remembered.get("sessionOrder") == "name"
        await pilot.resize_terminal(60, 24)
        await pilot.pause()
        assert "by name" in drawn(heading)[0]
        await pilot.press("s", "s", "s", "s", "s")
        assert "by" not in drawn(heading)[0]
        assert [row.key for row in pane.main_table.rows if row is not None] == before
        app.remembered.keep("sessionOrder", "tokens")
        assert remembered_order(app) == "tokens"
        app.remembered.keep("sessionOrder", ["no order"])
        assert remembered_order(app) == "activity"
