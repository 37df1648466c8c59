"""What the screens look like: SVG snapshots in snapshots/. `make snapshots` redraws them; look at them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.screen import Screen

import tui.screen
from tests.tui.conftest import SNAPSHOTS, Screens
from tests.tui.morning.recording import morning_recording
from tests.tui.morning.story import READY, whole_morning
from tests.tui.pictures import AT_120, DARK, LOOKS, Look, Step, walk
from tests.tui.traffic import START
from tui.screen.host_actions.bundling import BundleScreen
from tui.screen.keys.command import PANES, TRACE_PARTS
from tui.screen.leads.go_box import GoBox
from tui.screen.palette.palette_screen import PaletteScreen
from tui.screen.reading.read_screen import ReadScreen
from tui.screen.reading.searching import SearchingScreen
from tui.screen.screens.box import Box
from tui.screen.screens.choice_box import ChoiceBox
from tui.screen.screens.choose import ChooseScreen
from tui.screen.screens.confirm import ConfirmScreen
from tui.screen.screens.context import ContextScreen
from tui.screen.screens.diff import DiffScreen
from tui.screen.screens.help import HelpScreen
from tui.screen.screens.live_settings import SettingsScreen
from tui.screen.screens.models import ModelsScreen
from tui.screen.screens.opened import OpenedScreen
from tui.screen.screens.trace import TraceScreen
from tui.screen.screens.why import WhyScreen
from tui.screen.trace_detail.handing_on import ExportScreen
from tui.screen.trace_detail.replay import ReplayQuestion, ReplayScreen
from tui.screen.trace_list.column_choice import ColumnScreen
from tui.screen.trace_list.go_to import GoToScreen

WRITING = ("down", "down", "down")  # to the session whose answer is being written
# Each pane and screen, in all looks.
BUSY = (
    Step("streams", WRITING),
    Step("cache", ("2",)),
    Step("tools", ("3",)),
    Step("health", ("4",)),
    Step("traces", ("5",)),
    Step("go-to", ("g", *"3d"), GoToScreen),
    Step("columns", ("escape", "C"), ColumnScreen),
    Step("context", ("escape", "c"), ContextScreen),
    Step("models", ("escape", "escape", "M", "down"), ModelsScreen),
    Step("settings", ("escape", "comma", "down"), SettingsScreen),
    Step("restart", ("escape", "4", "r"), ConfirmScreen),
    Step("cache-flush", ("escape", "2", "F"), ChooseScreen),
)
ON_TOP = (
    Step("help", ("question_mark",), HelpScreen),
    Step("go-on", ("escape", *WRITING, "f"), GoBox),
    Step("why", ("escape", "w"), WhyScreen),
    Step("diff", ("d",), DiffScreen),
    Step("bundle", ("escape", "escape", "B"), BundleScreen),
    Step("palette", ("escape", "colon"), PaletteScreen),
)
IN_A_TRACE = (
    Step("trace-why", ("5", "enter"), TraceScreen),
    Step("trace-conversation", ("2",), TraceScreen),
    Step("trace-system", ("3",), TraceScreen),
    Step("trace-tools-offered", ("4",), TraceScreen),
    Step("trace-answer", ("n", "5"), TraceScreen),  # of the one before it, which edits a file
    Step("trace-calls", ("6",), TraceScreen),
    Step("trace-raw", ("7",), TraceScreen),
    Step("trace-upstream", ("8",), TraceScreen),
    Step("trace-events", ("9",), TraceScreen),
    Step("trace-export", ("E", "down"), ExportScreen),
    Step("trace-replay-question", ("escape", "R"), ReplayQuestion),
    Step("trace-replay", ("enter",), ReplayScreen),
    Step("trace-read", ("escape", "5", *["down"] * 5, "V"), ReadScreen),
)
# What is drawn once: the same screens in another state.
STATES = (
    Step("filter", ("slash", *"subagent")),
    Step("answer-scrolled", ("escape", *WRITING, "right", "right", "home")),
    Step("filter-error", ("escape", "slash", *"lane:main is:fialed")),
    Step("cache-drop", ("escape", "escape", "2", "down", "x"), ConfirmScreen),
    Step("trace-search", ("escape", "5", "enter", "2", "slash", *"export"), TraceScreen),
    Step("read-json", ("escape", "7", *["down"] * 14, "V"), ReadScreen),
)
EMPTY = tuple(Step(f"empty-{place}", (str(number),)) for number, (place, _) in enumerate(PANES, 1))
FAILED = (Step("health-failed", ("4",)), Step("health-happened", ("e", "enter")))
IN_ALL_LOOKS = (*BUSY, *ON_TOP, *IN_A_TRACE)
Draw = Callable[..., Awaitable[None]]
in_all_looks = pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)


@pytest.fixture
def draw(screens: Screens, tmp_path: Path) -> Draw:
    """Draws steps in a look, at a moment of the morning's recording: its busiest if none is given."""
    _, busiest = whole_morning()

    async def drawn(steps: Sequence[Step], look: Look, moment: float = busiest) -> None:
        await walk(screens, steps, look, moment, morning_recording(), tmp_path)

    return drawn


@in_all_looks
async def test_busy_screens(draw: Draw, look: Look) -> None:
    await draw(BUSY, look)


@in_all_looks
async def test_screens_on_top(draw: Draw, look: Look) -> None:
    await draw(ON_TOP, look)


@in_all_looks
async def test_parts_of_a_trace(draw: Draw, look: Look) -> None:
    await draw(IN_A_TRACE, look)


async def test_other_states(draw: Draw) -> None:
    await draw(STATES, DARK)


async def test_screens_before_the_first_request(draw: Draw) -> None:
    await draw(EMPTY, Look(80, 24), READY)


@pytest.mark.parametrize("look", AT_120, ids=lambda look: look.name)
async def test_failed_engine(draw: Draw, look: Look) -> None:
    morning, _ = whole_morning()
    await draw(FAILED, look, morning.now - START)


async def test_too_small(draw: Draw) -> None:
    await draw([Step("too-small", ())], Look(40, 10))


def screen_classes(base: type[Screen[Any]] = Screen) -> Iterator[type[Screen[Any]]]:
    """The screens of the app; those that are only a base for others are none."""
    for found in pkgutil.walk_packages(tui.screen.__path__, "tui.screen."):
        importlib.import_module(found.name)
    for one in base.__subclasses__():
        if one.__module__.startswith("tui.") and one not in (OpenedScreen, SearchingScreen, Box, ChoiceBox):
            yield one
        yield from screen_classes(one)


def test_each_pane_screen_and_part_of_a_trace_is_drawn_in_all_looks() -> None:
    """What is missing here has no picture: put a step of it into one of the tables above."""
    drawn = {step.screen for step in IN_ALL_LOOKS}
    missing = {one.__name__ for one in screen_classes()} - {one.__name__ for one in drawn}
    assert missing == {"PlayScreen"}  # it is in test_play_snapshots.py, in all looks as well
    parts = {f"trace-{title.lower().replace(' ', '-')}" for title, _ in TRACE_PARTS}
    panes = {place for place, _ in PANES}
    assert (parts | panes) - {step.name for step in IN_ALL_LOOKS} == set()


def test_the_folder_has_what_is_drawn_and_nothing_else() -> None:
    names = {
        f"{name}-{look.name}" for name in (*(one.name for one in IN_ALL_LOOKS), "play") for look in LOOKS
    }
    names |= {f"{step.name}-{look.name}" for step in FAILED for look in AT_120}
    names |= {f"{step.name}-120x40" for step in STATES}
    names |= {"too-small-40x10", *(f"{step.name}-80x24" for step in EMPTY)}
    assert {path.stem for path in SNAPSHOTS.glob("*.svg")} == names
