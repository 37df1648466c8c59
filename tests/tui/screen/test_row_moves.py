"""What a key that moves the selection makes the app do: one frame, with what stands beside the list in it."""

from __future__ import annotations

import pytest

from tests.tui.screen.screens.every_screen import Stand, stand
from tests.tui.screen.work import Work, watched
from tui.screen.keys.command import PANES
from tui.screen.widgets.line_table import LineTable

SCREENS = ("models", "settings", "diff", "context")


async def moved(it: Stand, key: str, work: Work) -> None:
    work.start()
    await it.pilot.press(key)
    await it.pilot.pause()


@pytest.mark.parametrize("place", [place for place, _ in PANES])
async def test_a_move_in_a_pane_draws_once_and_what_is_beside_the_list_with_it(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stand() as it:
        await it.show_pane(place)
        table = it.app.main.current.main_table
        assert table is not None
        await it.pilot.press("home")
        await it.settle()
        work = watched(monkeypatch)
        for key in ("j", "j", "k", "G", "home"):
            before = table.cursor
            await moved(it, key, work)
            assert table.cursor != before, key
            # Another answer may begin or stop to follow; the detail of a trace is asked of the host.
            assert work.counts["updates"] == 1 or place == "streams", key
            assert len(work.frames) == 1 or place == "traces", key


@pytest.mark.parametrize("name", SCREENS)
async def test_a_move_in_a_screen_draws_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stand() as it:
        await it.open(name)
        (table, *_) = it.app.screen.query(LineTable)
        table.focus()
        await it.pilot.press("g")
        await it.settle()
        work = watched(monkeypatch)
        for key in ("j", "j", "k", "G", "k"):
            before = table.cursor
            await moved(it, key, work)
            assert table.cursor != before, key
            assert len(work.frames) == 1, key
