"""One part in front, parts beside or below each other, and what is remembered of that."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tui.stage import loaded
from tests.tui.trace_samples import SampleHost, summaries
from tests.tui.traffic import Morning
from tui.client.records import Link
from tui.screen.app import ControlCenter
from tui.screen.choices.layouts import is_beside
from tui.screen.choices.remembered import Remembered
from tui.screen.theme_choice import ThemeChoice
from tui.screen.widgets.line_table import LineTable
from tui.screen.widgets.text_tail import TextTail


@asynccontextmanager
async def screen(size: tuple[int, int], path: Path | None = None) -> AsyncIterator[tuple[ControlCenter, Any]]:
    morning = Morning().play()
    app = ControlCenter(clock=lambda: morning.now, themes=ThemeChoice(path, {}))
    app.client = SampleHost(summaries(morning))
    async with app.run_test(size=size) as pilot:
        for arrival in morning.arrivals():
            app.inbox.put(arrival)
        app.inbox.put(Link("live"))
        app.frame()
        await pilot.pause()
        yield app, pilot


async def test_the_part_with_the_focus_fills_the_place_and_the_zoom_follows_the_focus() -> None:
    async with screen((160, 40)) as (app, pilot):
        pane = app.main.current
        table, answer = pane.query_one(LineTable), pane.query_one(TextTail)
        before = table.size
        await pilot.press("z")
        assert table.size.height > 32
        assert table.size.width > 157
        assert not answer.is_on_screen
        while not answer.has_focus:
            await pilot.press("right")  # through the turns to the answer
            await pilot.pause()
        assert answer.size.height > 28
        assert answer.size.width > 157
        assert not table.is_on_screen
        await pilot.press("escape", "z")
        assert table.size == before
        assert answer.is_on_screen

        # Over the panes, where the bars stay.
        await pilot.press("5")
        await loaded(app)
        await pilot.press("d")
        await loaded(app)
        await pilot.pause()
        table = app.screen.query_one(LineTable)
        before = table.size
        await pilot.press("z")
        assert table.size.height > before.height
        assert app.screen.query_one("#crumbs").is_on_screen
        assert app.screen.query_one("KeyBar").is_on_screen
        await pilot.press("z")
        assert table.size == before


async def resized(app: ControlCenter, pilot: Any, columns: int, lines: int) -> None:
    """Until the pane has been told of another size."""
    await pilot.resize_terminal(columns, lines)
    while app.main.current.size.width != columns:
        await pilot.pause()
    await pilot.pause()


async def test_a_layout_is_remembered_by_pane_and_width(tmp_path: Path) -> None:
    path = tmp_path / "screen.json"
    async with screen((120, 40), path) as (app, pilot):
        assert not app.main.current.has_class("wide")
        await pilot.press("|")
        assert app.main.current.has_class("wide")
        await pilot.press("3")
        assert not app.main.current.has_class("wide")
        await resized(app, pilot, 200, 50)
        assert app.main.current.has_class("wide")
        await pilot.press("|")
        assert not app.main.current.has_class("wide")
        await resized(app, pilot, 80, 24)
        await pilot.press("|")
        assert "100 columns" in [*app._notifications][-1].message
        app.theme = "nord"
        await pilot.pause()
    kept = {"streams 120": "beside", "tools 200": "below"}
    assert json.loads(path.read_text()) == {"layouts": kept, "theme": "nord"}
    app = ControlCenter(themes=ThemeChoice(path, {}))
    assert (is_beside(app, "streams", 120), is_beside(app, "tools", 200), app.theme) == (True, False, "nord")


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"layouts": 7, "theme": {}}', "[" * 9000])
def test_what_cannot_be_read_is_as_if_it_were_not_there(tmp_path: Path, content: str) -> None:
    path = tmp_path / "screen.json"
    path.write_text(content)
    assert ThemeChoice(path, {}).first() == "anyclaude-night"
    remembered = Remembered(path)
    remembered.keep("layouts", {"streams 80": "below"})
    assert Remembered(path).get("layouts") == {"streams 80": "below"}
    nowhere = Remembered(tmp_path / "no" / "folder")
    nowhere.keep("theme", "nord")
