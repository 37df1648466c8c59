"""What the first frame leaves for later is there behind it, also where somebody asks for it at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tui.screen.app import ControlCenter
from tui.screen.theme_choice import ThemeChoice


@pytest.fixture
def held_garbage_collection() -> Iterator[None]:
    """As the command starts a screen."""
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.usefixtures("held_garbage_collection")
async def test_garbage_is_looked_for_again_and_not_among_what_stays() -> None:
    async with ControlCenter().run_test() as pilot:
        await pilot.pause()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 100_000


async def test_a_screen_that_others_embed_leaves_their_garbage_collection_alone() -> None:
    before = gc.get_freeze_count()
    async with ControlCenter().run_test() as pilot:
        await pilot.pause()
        assert gc.get_freeze_count() == before


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
