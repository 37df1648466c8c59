"""The player, and the picture of README, drawn from the demo; `make snapshots` writes both."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.conftest import SNAPSHOTS, Screens
from tests.tui.demo.plot import BUSY
from tests.tui.pictures import DARK, LOOKS, Look, in_look, picture, settle
from tests.tui.recorded import live_app, played_app
from tui.screen.playing.play_screen import PlayScreen

README = SNAPSHOTS.parent / "docs" / "control-center.svg"


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
async def test_a_recording_is_played(screens: Screens, look: Look) -> None:
    app = played_app(BUSY)
    async with in_look(app, look) as pilot:
        assert type(app.screen) is PlayScreen
        screens.compare(f"play-{look.name}", await picture(app, pilot))
    screens.verdict()


async def test_the_picture_of_readme(screens: Screens, tmp_path: Path) -> None:
    app = live_app(BUSY, tmp_path)
    async with in_look(app, DARK) as pilot:
        await pilot.press(*["down"] * 4)  # to an answer that is being written
        await settle(app, pilot)
        screens.compare("control-center", await picture(app, pilot), file=README)
    screens.verdict()
