"""Each command that a bar shows can be clicked, whatever its title is made of."""

from __future__ import annotations

import pytest
from textual.actions import parse

from tests.tui.screen.test_app import scene
from tui.screen.keys.command import Command
from tui.screen.keys.table import (
    COMMANDS,
    PLAYING,
    WHILE_EDITING,
    WHILE_FILTERING,
    WHILE_LOOKING,
    WHILE_SEARCHING,
)
from tui.screen.styled_line import line_width
from tui.screen.widgets.key_bar import KeyBar

EACH = (*COMMANDS, *PLAYING, *WHILE_EDITING, *WHILE_FILTERING, *WHILE_LOOKING, *WHILE_SEARCHING)


@pytest.mark.parametrize("command", EACH, ids=lambda one: one.id)
def test_a_click_names_its_command(command: Command) -> None:
    style = command.clicked("screen")
    assert style.split() == [style]
    assert parse(style[1:].replace("~", " ")) == ("screen", "run", (command.title,))


async def test_the_trace_opens_by_a_click_in_the_bar() -> None:
    async with scene() as it:
        line = it.app.main.query_one(KeyBar)._draw_bar(120, 1)[0]
        texts = [text for text, _ in line]
        at = line_width(line[: texts.index(" trace")]) + 1
        before = it.app.screen
        await it.pilot.click("KeyBar", offset=(at, 0))
        await it.pilot.pause()
        assert it.app._exception is None
        assert it.app.screen is not before
