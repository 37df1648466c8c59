"""A command that a text names starts this program as it was started."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import tui.screen
from tests.tui.stage import drawn, loaded
from tests.tui.trace_samples import SampleHost, summaries
from tests.tui.traffic import Morning
from tui.client.records import Link
from tui.screen.app import ControlCenter
from tui.screen.choices.own_command import own_command, take_command
from tui.screen.widgets.strip_view import StripView

SCREEN = Path(tui.screen.__file__).parent
# What these say stands in no place where one would type it, or before there is a screen.
TOLD = {"own_command.py", "help_text.py", "user_keys.py"}


def test_no_text_of_the_screen_names_a_command_by_the_programs_name_alone() -> None:
    found = [
        (path.name, node.value)
        for path in SCREEN.rglob("*.py")
        if path.name not in TOLD
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.search(r"anyclaude-tui [a-z]", node.value) and "\n" not in node.value and "`" not in node.value
    ]
    assert found == []


async def test_the_replay_box_shows_and_copies_a_command_that_works_as_it_stands() -> None:
    program = "~/'a project'/bin/anyclaude-tui --home /tmp/state --port 23000"
    morning = Morning().play()
    app = ControlCenter(clock=lambda: morning.now, program=program)
    app.client = SampleHost(summaries(morning))
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            for arrival in morning.arrivals():
                app.inbox.put(arrival)
            app.inbox.put(Link("live"))
            app.frame()
            for key in ("t", "R"):
                await pilot.press(key)
                await loaded(app)
                await pilot.pause()
            await pilot.press("y")
            assert app.clipboard.startswith(f"{program} traces replay req_")
            shown = " ".join(line.strip() for part in app.screen.query(StripView) for line in drawn(part))
            assert app.clipboard in shown
    finally:
        take_command("")
    assert own_command("traces list") == "anyclaude-tui traces list"
