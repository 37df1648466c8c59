"""Pictures of screens: the looks in which each is drawn, and a walk that takes one after each step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from textual._compositor import LayoutUpdate
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from proxy.recordings.format import Recording
from tests.tui.conftest import Picture, Screens
from tests.tui.recorded import RecordedHost, live_app
from tests.tui.stage import loaded
from tui.client.recording.bundle import MadeBundle
from tui.screen.app import ControlCenter
from tui.screen.screens.main import MainScreen

NIGHT, DAY = "anyclaude-night", "anyclaude-day"


@dataclass(frozen=True)
class Look:
    """A size, and the colours in which it is drawn; without colours as NO_COLOR does."""

    columns: int
    rows: int
    theme: str = NIGHT
    colours: bool = True

    @property
    def name(self) -> str:
        """The end of a snapshot's name: `120x40`, `day-120x40`."""
        light = "" if self.theme == NIGHT else "day-"
        return f"{light}{'' if self.colours else 'no-color-'}{self.columns}x{self.rows}"


DARK = Look(120, 40)
LOOKS = (Look(80, 24), DARK, Look(200, 50), Look(120, 40, DAY), Look(120, 40, colours=False))
AT_120 = tuple(look for look in LOOKS if look.columns == 120)

# Pictures of what no recording has, and why; all others are drawn by a recording alone.
NOT_RECORDED = {
    "models": "files of one machine, to be loaded there: the player does not offer it",
    "settings": "to be changed on a host that runs: the player does not offer it",
    "trace-replay-question": "which models answer now",
    "trace-replay": "a new answer of a model that runs",
}


@dataclass(frozen=True)
class Step:
    """Keys to press, the picture after them, and the screen that is then on top."""

    name: str
    keys: Sequence[str]
    screen: type[Screen[Any]] = MainScreen


async def no_bundle(*_: object) -> MadeBundle:
    """The question before a bundle is drawn; none is made."""
    raise AssertionError("a bundle was made")


async def walk(
    screens: Screens, steps: Sequence[Step], look: Look, moment: float, recording: Recording, folder: Path
) -> None:
    """Press the keys of each step, at a moment of a recording, and compare what is drawn."""
    app = live_app(moment, folder, recording)
    app.state_folder = Path("/home/ada/.anyclaude")
    app.bundler = no_bundle
    async with in_look(app, look) as pilot:
        for step in steps:
            for number, key in enumerate(step.keys, 1):
                await pilot.press(key)
                if "slash" not in step.keys[: number - 1] or number == len(step.keys):  # no letter waits
                    await settle(app, pilot)
            assert type(app.screen) is step.screen, step.name
            assert isinstance(app.client, RecordedHost)
            assert bool(app.client.made_up) is (step.name in NOT_RECORDED), (step.name, app.client.made_up)
            app.client.made_up.clear()
            screens.compare(f"{step.name}-{look.name}", await picture(app, pilot))
    screens.verdict()


@asynccontextmanager
async def in_look(app: ControlCenter, look: Look) -> AsyncIterator[Pilot[None]]:
    """Run `app` in this look: an app for each, as to change the theme takes longer than to start."""
    app.theme = look.theme
    if not look.colours:
        app.no_color = True
    async with app.run_test(size=(look.columns, look.rows)) as pilot:
        await settle(app, pilot)
        yield pilot


async def picture(app: ControlCenter, pilot: Pilot[None]) -> Picture:
    """The screen once it stays as it is: a layout may take more than one round."""
    for field in app.screen.query(Input):
        field.cursor_blink = False
    before = ""
    while (drawn := cells(app)) != before:
        await settle(app, pilot)
        before = drawn
    return Picture(drawn, partial(app.export_screenshot, simplify=True))


def cells(app: ControlCenter) -> str:
    """What is on the screen, with its styles, line by line."""
    update = app.screen._compositor.render_update(
        full=True, screen_stack=app._background_screens, simplify=True
    )
    assert isinstance(update, LayoutUpdate)
    return "\n".join(
        "\0".join(f"{segment.text}\0{segment.style}" for strip in line for segment in strip)
        for line in update.strips
    )


async def settle(app: ControlCenter, pilot: Pilot[None]) -> None:
    """Until all is loaded and drawn: a load can follow from a frame, and a frame from what was loaded."""
    for _ in range(2):
        app.frame()
        await pilot.pause()
        await loaded(app)
        await pilot.pause()
