"""Clicks that come at once, as a double click's do: the second is of what the first has closed or opened."""

from __future__ import annotations

import pytest
from textual import events

from tests.tui.screen.test_app import Scene, scene

# Keys that open each kind of screen and box.
OPENED = ["t", "w", "d", "f", "M", "comma", "question_mark", "colon", "ctrl+t", "5 g", "5 C", "4 r", "2 F"]


async def click_at_once(it: Scene, x: int, y: int, times: int = 2) -> None:
    """Click some times on a cell, faster than anything is drawn."""
    for _ in range(times):
        for kind in (events.MouseDown, events.MouseUp):
            it.app.post_message(
                kind(None, x, y, 0, 0, 1, shift=False, meta=False, ctrl=False, screen_x=x, screen_y=y)
            )
    await it.settle()


@pytest.mark.parametrize("keys", OPENED)
async def test_any_cell_may_be_clicked_at_once_again(keys: str) -> None:
    """Beside a box, on a crumb, in the key bar: what is closed by the first click closes nothing else."""
    async with scene() as it:
        for x, y in ((0, 20), (3, 0), (3, 39), (60, 20)):
            await it.press(*keys.split())
            assert it.app.screen is not it.app.main
            await click_at_once(it, x, y, 3)
            assert it.app._exception is None
            assert it.app.main in it.app.screen_stack
            while it.app.screen is not it.app.main:
                it.app.pop_screen()
            await it.press("1")
