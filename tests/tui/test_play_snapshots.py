"""The player, and the picture of README, drawn from the demo; `make snapshots` writes both."""

from __future__ import annotations

from pathlib import Path

from tests.tui.conftest import SNAPSHOTS, Screens
from tests.tui.demo.plot import BUSY
from tests.tui.recorded import live_app, played_app
from tests.tui.screen.host_actions.test_bundling import Bundles
from tests.tui.test_snapshots import SIZES, picture, settle

README = SNAPSHOTS.parent / "docs" / "control-center.svg"


async def test_a_recording_is_played(screens: Screens) -> None:
    app = played_app(BUSY)
    async with app.run_test(size=SIZES[0]) as pilot:
        for size in SIZES:
            await pilot.resize_terminal(*size)
            await settle(app, pilot)
            screens.compare(f"play-{size[0]}x{size[1]}", await picture(app, pilot))
    screens.verdict()


async def test_the_picture_of_readme_and_the_question_before_a_bundle(
    screens: Screens, tmp_path: Path
) -> None:
    app = live_app(BUSY, tmp_path)
    app.bundler = Bundles()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(app, pilot)
        await pilot.press(*["down"] * 4)  # to an answer that is being written
        await settle(app, pilot)
        screens.compare("control-center", await picture(app, pilot), file=README)
        await pilot.press("B")
        await settle(app, pilot)
        screens.compare("bundle-120x40", await picture(app, pilot))
    screens.verdict()
