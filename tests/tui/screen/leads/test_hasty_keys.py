"""A key that leads on, pressed again while the first is on its way."""

from __future__ import annotations

import asyncio

import pytest

from tests.tui.screen.test_app import scene
from tui.screen.screens.trace import TraceScreen


@pytest.mark.parametrize("turns", [1, 3, 6, 10, 16, 30])
async def test_a_key_pressed_twice_leads_there_once_and_back(turns: int) -> None:
    async with scene() as it:
        await it.press("5", "down", "t")
        trace = it.app.screen
        it.app.action_to_session()
        for _ in range(turns):
            await asyncio.sleep(0)
        it.app.action_to_session()
        await it.settle()
        assert it.app.main.current.place == "streams"
        assert it.app.screen is it.app.main
        assert it.app.ways_back[0].title.startswith("Back to Trace")
        await it.press("escape")
        assert isinstance(trace, TraceScreen)
        assert it.app.screen is trace
        await it.press("u")
        assert it.app.screen is it.app.main


async def test_the_key_back_pressed_twice_leads_back_once() -> None:
    async with scene() as it:
        await it.press("5", "down", "t")
        trace = it.app.screen
        await it.press("u")
        it.app.action_go_back()
        it.app.action_go_back()
        await it.settle()
        assert it.app.screen is trace
        assert it.app.ways_back == []
