"""Keys that are typed ahead, or come at once, do what they do when each waits for the one before."""

from __future__ import annotations

import asyncio

import pytest
from textual import events
from textual.widgets import Input

from tests.tui.screen.test_app import Scene, scene
from tui.screen.screens.diff import DiffScreen
from tui.screen.screens.trace import TraceScreen
from tui.screen.trace_list.go_to import GoToScreen
from tui.screen.widgets.filter_input import FilterInput
from tui.screen.widgets.line_table import LineTable

_NAMES = {
    "/": "slash",
    ":": "colon",
    "?": "question_mark",
    "\t": "tab",
    "→": "right",
    "←": "left",
    "↑": "up",
    "\n": "enter",
    "\x1b": "escape",
}


async def type_at_once(it: Scene, keys: str) -> None:
    """All keys in one go, as a slow link brings them."""
    for sign in keys:
        it.app.post_message(events.Key(_NAMES.get(sign, sign), sign if sign.isprintable() else None))
    await it.settle()


@pytest.mark.parametrize("before", ["1", "2", "4"])
async def test_what_is_typed_behind_the_key_of_a_filter_is_in_it(before: str) -> None:
    async with scene() as it:
        await it.press(before)
        await type_at_once(it, "5/tool:Bash")
        assert it.app.main.current.place == "traces"
        assert it.app.main.query_one(FilterInput).query_one(Input).value == "tool:Bash"


async def test_a_key_of_ones_own_is_text_in_a_field() -> None:
    """Textual takes the keys that a field wants from the commands before it gives them the user's keys."""
    async with scene() as it:
        it.app.set_keymap({"main.next_pane:1": "x"})
        await type_at_once(it, "5/axb")
        assert it.app.screen is it.app.main
        assert it.app.main.query_one(FilterInput).query_one(Input).value == "axb"


async def test_a_key_behind_one_that_moves_the_focus_is_of_what_has_it_then() -> None:
    async with scene() as it:
        await type_at_once(it, "2→d")
        misses = it.app.main.current.query_one("#misses", LineTable)
        assert isinstance(it.app.screen, DiffScreen)
        assert misses.selected is not None
        assert it.app.screen.request == misses.selected.request
        assert it.app.store.snapshot().misses[-1].request == misses.selected.request


async def test_the_same_key_of_two_panes_is_that_of_the_pane_that_was_asked_for() -> None:
    async with scene() as it:
        await type_at_once(it, "3e4e1")
        assert it.app.main.current.place == "streams"
        assert it.app.main.pane("tools").choices == ("today", True)
        log = it.app.main.pane("health").main_table
        assert log is not None
        assert log.selected is not None
        assert log.selected.level == "error"


async def test_a_key_behind_the_one_that_leaves_a_field_is_no_text() -> None:
    async with scene() as it:
        await type_at_once(it, "3/Bash\n↑t")
        assert isinstance(it.app.screen, TraceScreen)
        pane = it.app.main.current
        assert pane.filter == "Bash"
        assert pane.main_table is not None
        assert pane.main_table.cursor == len(pane.main_table.rows) - 2

        await type_at_once(it, "/Bash\n2/nothing\x1b3")
        assert it.app.screen.where == "in this part"
        assert it.app.main.current.place == "tools"


async def test_keys_behind_a_box_with_a_field_go_to_what_is_below_it() -> None:
    async with scene() as it:
        await type_at_once(it, "5g\x1b4")
        assert it.app.main.current.place == "health"
        await type_at_once(it, "5g3d")
        assert isinstance(it.app.screen, GoToScreen)
        assert it.app.screen.query_one(Input).value == "3d"
        await type_at_once(it, "\n4")
        assert it.app.main.current.place == "health"
        await type_at_once(it, ":thex←←y\x1b3")
        assert it.app.main.current.place == "tools"


@pytest.mark.parametrize("opened", ["colon", "ctrl+t", "5 C", "M", "comma"])
async def test_a_list_that_was_just_opened_takes_any_key(opened: str) -> None:
    async with scene() as it:
        *before, last = opened.split()
        for moved in ("pageup", "pagedown", "end", "home", "up", "down"):
            await it.press("1", *before)
            for key in (last, moved, moved):
                it.app.post_message(events.Key(key, None))
            await it.settle()
            assert it.app._exception is None, moved
            while it.app.screen is not it.app.main:
                await it.app.pop_screen()


async def test_what_is_removed_holds_no_key_for_ever() -> None:
    async with scene() as it:
        for _ in range(3):
            it.app.post_message(events.Key("t", "t"))
            for _ in range(2):
                await asyncio.sleep(0)
            it.app.post_message(events.Key("slash", "/"))
            if it.app.screen is not it.app.main:
                it.app.pop_screen()
            await it.settle()
        await type_at_once(it, "4")
        await type_at_once(it, "3")
        while it.app.screen is not it.app.main:
            await it.app.pop_screen()
        await type_at_once(it, "\x1b3")
        assert it.app.main.current.place == "tools"
