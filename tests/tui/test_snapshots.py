"""What the screens look like: SVG snapshots in snapshots/. `make snapshots` redraws them; look at them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.filter import Monochrome
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import Screens
from tests.tui.stage import loaded
from tests.tui.trace_samples import SampleHost, summaries
from tests.tui.traffic import Morning
from tui.client.records import Link
from tui.screen.app import ControlCenter
from tui.screen.keymap import PANES

WRITING = ("down", "down", "down")  # to the session whose answer is being written
SIZES = ((80, 24), (120, 40), (200, 50))
BUSY = (
    ("streams", WRITING),
    ("cache", ("2",)),
    ("tools", ("3",)),
    ("health", ("4",)),
    ("traces", ("5",)),
    ("trace-why", ("enter",)),
    ("trace-conversation", ("2",)),
    ("trace-calls", ("6",)),
    ("context", ("c",)),
    ("models", ("escape", "escape", "escape", "M", "down")),
    ("settings", ("escape", "comma", "down")),
)
IN_A_TRACE = (
    ("trace-tools-offered", ("5", "enter", "4")),
    ("trace-answer", ("5",)),
    ("trace-raw", ("7",)),
    ("trace-events", ("9",)),
    ("trace-search", ("2", "slash", *"export")),
    ("trace-export", ("escape", "E", "down")),
    ("trace-replay-question", ("escape", "R")),
    ("trace-replay", ("enter",)),
)
ON_TOP = (
    ("help", ("question_mark",)),
    ("filter", ("escape", "slash", *"subagent")),
    ("answer-scrolled", ("escape", *WRITING, "right", "right", "home")),
    ("filter-error", ("escape", "slash", *"lane:main is:fialed")),
    ("why", ("escape", "w")),
    ("diff", ("d",)),
    ("restart", ("escape", "escape", "4", "r")),
    ("cache-drop", ("escape", "2", "down", "x")),
    ("cache-flush", ("escape", "F")),
)
EMPTY = tuple((f"empty-{place}", (str(number),)) for number, (place, _) in enumerate(PANES, 1))
# Drawn by day and without colours as well, at 120x40.
IN_OTHER_LIGHT = (*(place for place, _ in PANES), "trace-why", "context", "why", "diff")
Steps = Sequence[tuple[str, Sequence[str]]]


async def walk(
    screens: Screens,
    steps: Steps,
    size: tuple[int, int],
    morning: Morning | None = None,
) -> None:
    """Press the keys of each step and compare what is drawn; without a morning nothing has happened yet."""
    busy = morning is not None
    morning = morning or Morning()
    app = ControlCenter(clock=lambda: morning.now)
    app.theme = "anyclaude-night"
    app.state_folder = Path("/home/ada/.anyclaude")
    app.client = SampleHost(summaries(morning) if busy else [], morning.now)
    if not busy:
        morning.start_engine()
    for arrival in morning.arrivals():
        app.inbox.put(arrival)
    app.inbox.put(Link("live"))
    async with app.run_test(size=size) as pilot:
        await settle(app, pilot)
        for name, keys in steps:
            for key in keys:
                await pilot.press(key)
                await settle(app, pilot)
            for field in app.screen.query(Input):
                field.cursor_blink = False
            screens.compare(f"{name}-{size[0]}x{size[1]}", await picture(app, pilot))
            if name in IN_OTHER_LIGHT and size == (120, 40):
                await other_lights(screens, name, app, pilot)
    screens.verdict()


async def other_lights(screens: Screens, name: str, app: ControlCenter, pilot: Pilot[None]) -> None:
    """Compare what is drawn by day, and without colours; then it is night again."""
    app.theme = "anyclaude-day"
    screens.compare(f"{name}-day-120x40", await picture(app, pilot))
    app.theme = "anyclaude-night"
    app._filters.append(Monochrome())  # as NO_COLOR does
    redraw(app)
    screens.compare(f"{name}-no-color-120x40", await picture(app, pilot))
    app._filters.pop()
    redraw(app)
    await settle(app, pilot)


def redraw(app: ControlCenter) -> None:
    for screen in app.screen_stack:
        for widget in screen.query("*"):
            widget.notify_style_update()
            widget.refresh()


async def picture(app: ControlCenter, pilot: Pilot[None]) -> str:
    """The screen once it stays as it is: a layout may take more than one round."""
    before, drawn = "", app.export_screenshot(simplify=True)
    while drawn != before:
        await settle(app, pilot)
        before, drawn = drawn, app.export_screenshot(simplify=True)
    return drawn


async def settle(app: ControlCenter, pilot: Pilot[None]) -> None:
    """Until all is loaded and drawn: a load can follow from a frame, and a frame from what was loaded."""
    for _ in range(2):
        app.frame()
        await pilot.pause()
        await loaded(app)
        await pilot.pause()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_busy_screens(screens: Screens, size: tuple[int, int]) -> None:
    await walk(screens, BUSY, size, Morning().play())


async def test_screens_on_top(screens: Screens) -> None:
    await walk(screens, ON_TOP, (120, 40), Morning().play())


async def test_parts_of_a_trace(screens: Screens) -> None:
    await walk(screens, IN_A_TRACE, (120, 40), Morning().play())


async def test_screens_before_the_first_request(screens: Screens) -> None:
    await walk(screens, EMPTY, (80, 24))


async def test_failed_engine(screens: Screens) -> None:
    morning = Morning().play()
    morning.engine("failed", detail="5 restarts in a row did not help", last_exit="exit code 1", restarts=5)
    steps = [("health-failed", ("4",)), ("health-happened", ("e", "enter"))]
    await walk(screens, steps, (120, 40), morning)


async def test_too_small(screens: Screens) -> None:
    await walk(screens, [("too-small", ())], (40, 10), Morning().play())
