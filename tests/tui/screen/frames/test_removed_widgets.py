"""A press on what goes at that moment."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import Static

from tests.tui.screen.test_app import scene
from tui.screen.screens.context import ContextScreen
from tui.screen.screens.help import HelpScreen


@pytest.mark.parametrize("screen", [None, HelpScreen, ContextScreen])
async def test_a_press_on_a_note_that_goes_ends_nothing(screen: type | None) -> None:
    async with scene() as it:
        if screen is not None:
            it.app.push_screen(screen("streams"))
            await it.pilot.pause()
        found = Static("Copied.")
        found.styles.dock = "top"
        await it.app.screen.mount(found)
        await it.pilot.pause()
        x, y = found.region.x + 2, found.region.y
        assert it.app.screen.get_widget_and_offset_at(x, y)[0] is found
        parent = found.parent
        found._detach()  # as it is from its removal on until the screen is laid out
        press = events.MouseDown(None, x, y, 0, 0, 1, False, False, False, x, y)
        it.app.screen._forward_event(press)
        assert it.app.screen.get_widget_and_offset_at(x, y) == (None, None)
        found._attach(parent)
        await it.pilot.pause()
        assert it.app._exception is None
