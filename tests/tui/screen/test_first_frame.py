"""What the first frame leaves for later is there behind it, also where somebody asks for it at once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest
from textual import events
from textual.widgets import ContentSwitcher, Input

from tests.tui.trace_samples import SampleHost
from tui.screen.app import ControlCenter
from tui.screen.keys.command import PANES
from tui.screen.panes.pane import Pane
from tui.screen.screens.main import MainScreen
from tui.screen.theme_choice import ThemeChoice
from tui.screen.widgets.filter_input import FilterInput


@pytest.fixture
def held_garbage_collection() -> Iterator[None]:
    """As the command starts a screen."""
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.usefixtures("held_garbage_collection")
async def test_garbage_is_looked_for_again_and_not_among_what_stays() -> None:
    async with (app := ControlCenter()).run_test() as pilot:
        while not app.main.complete:
            await pilot.pause()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 100_000


async def test_a_screen_that_others_embed_leaves_their_garbage_collection_alone() -> None:
    before = gc.get_freeze_count()
    async with (app := ControlCenter()).run_test() as pilot:
        while not app.main.complete:
            await pilot.pause()
        assert gc.get_freeze_count() == before


def held_back(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """What lets the hidden panes be mounted, which wait for it."""
    drawn, mount_hidden = asyncio.Event(), MainScreen.mount_hidden

    async def mount_later(screen: MainScreen) -> None:
        await drawn.wait()
        await mount_hidden(screen)

    monkeypatch.setattr(MainScreen, "mount_hidden", mount_later)
    return drawn


@pytest.mark.parametrize(
    ("asked", "steps", "shown"),
    [("health", 0, "health"), ("cache", 1, "tools"), ("", -1, "traces"), ("", 0, "streams")],
)
async def test_the_pane_that_was_asked_for_before_it_is_there_is_shown_then(
    asked: str, steps: int, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = held_back(monkeypatch)
    app = ControlCenter()
    app.client = SampleHost([])
    async with app.run_test() as pilot:
        assert [pane.place for pane in app.main.query(Pane)] == ["streams"]
        if asked:
            app.main.action_pane(asked)
        if steps:
            app.main.action_next_pane(steps)
        assert app.main.current.place == "streams"
        drawn.set()
        while not app.main.complete:
            await pilot.pause()
        await pilot.pause()
        panes = app.main.query(Pane)
        assert {pane.place for pane in panes} == {place for place, _ in PANES}
        assert [pane.place for pane in panes if pane.display] == [shown]
        assert app.main.current.place == app.main.query_one(ContentSwitcher).current == shown
        assert app.main.current.home is app.focused


async def test_keys_that_are_typed_after_that_of_a_pane_are_meant_for_it_also_before_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = held_back(monkeypatch)
    app = ControlCenter()
    app.client = SampleHost([])
    async with app.run_test() as pilot:
        for key in ("5", "slash", *"tool"):  # the app itself still waits for the panes
            await app.on_event(events.Key(key, key if len(key) == 1 else None))
        assert not app.main.query_one(FilterInput).has_class("open")
        drawn.set()
        while not app.main.complete:
            await pilot.pause()
        await pilot.pause()
        assert app.main.current.place == "traces"
        assert app.main.query_one(Input).value == "tool"


@pytest.mark.parametrize("way", ["lead", "back"])
async def test_what_is_wanted_of_a_pane_before_it_is_there_is_done_then(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = held_back(monkeypatch)
    app = ControlCenter()
    app.client = SampleHost([])
    async with app.run_test() as pilot:
        if way == "lead":
            app.go_filtered("tools", "Read")
        else:
            app.show_pane("tools", "filter")
        await pilot.pause()
        assert app.main.current.place == "streams"
        drawn.set()
        await app.workers.wait_for_complete()
        assert app.main.current.place == "tools"
        if way == "lead":
            assert app.main.current.filter == "Read"
            assert [one.title for one in app.ways_back] == ["Back to Streams"]
        else:
            assert app.main.query_one(FilterInput).has_class("open")


async def test_the_first_theme_is_no_change_of_theme(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change parses and applies all styles again."""
    parsed_again: list[str] = []
    monkeypatch.setattr(
        ControlCenter, "refresh_css", lambda app, animate=True: parsed_again.append(app.theme)
    )
    app = ControlCenter(themes=ThemeChoice(environ={"TEXTUAL_THEME": "anyclaude-day"}))
    async with app.run_test():
        assert (app.theme, parsed_again) == ("anyclaude-day", [])
        assert app.has_class("-light-mode", "-theme-anyclaude-day")
        assert app.screen.styles.background.brightness > 0.5


async def test_a_screen_that_was_ended_in_its_first_moment_mounts_nothing_more() -> None:
    async with (app := ControlCenter()).run_test() as pilot:
        while not app.main.complete:
            await pilot.pause()
        main = app.main
    main._all_mounted.clear()
    await main.mount_hidden()  # its widgets are gone: to mount more would be a crash, with exit code 1
    assert not main.complete
