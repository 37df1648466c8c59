"""Keys that come faster than screens are drawn, as pasted text does."""

from __future__ import annotations

import asyncio

import pytest

from tests.tui.screen.test_app import scene
from tui.screen.screens.context import ContextScreen
from tui.screen.screens.help import HelpScreen


@pytest.mark.parametrize("turns", range(6))
async def test_a_screen_may_be_closed_before_it_is_drawn(turns: int) -> None:
    async with scene() as it:
        for screen in (HelpScreen("streams"), ContextScreen("s")):
            it.app.push_screen(screen)
            for _ in range(turns):
                await asyncio.sleep(0)
            it.app.pop_screen()
            await it.pilot.pause()
            assert it.app._exception is None
            assert it.app.screen is it.app.main
