"""What a pane switch draws: one frame, which is right at once, and nothing twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from textual.css.stylesheet import Stylesheet
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tests.tui.screen.test_app import Scene, scene
from tui.screen.frames.paced_app import PacedApp
from tui.screen.keys.command import PANES
from tui.screen.panes.pane import Pane
from tui.screen.widgets.line_table import LineTable
from tui.screen.widgets.strip_view import StripView

SIZES = ((44, 12), (80, 24), (120, 40), (200, 50))
KEYS = [str(number) for number, _ in enumerate(PANES, 1)]
LOADS = {"2", "5"}  # panes that ask the host when they are seen for the first time


class Work:
    """The frames of a switch, each as the lines of the whole screen, and what else it took."""

    def __init__(self) -> None:
        self.frames: list[list[str]] = []
        self.counts: Counter[str] = Counter()

    def counted(self, function: Any, what: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self.counts[what] += 1
            return function(*arguments, **named)

        return call

    async def of(self, it: Scene, key: str) -> None:
        """Press a key, and note what follows until nothing more is drawn."""
        self.frames.clear()
        self.counts.clear()
        await it.press(key)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    found = Work()
    display = PacedApp._display

    def shown(app: PacedApp, screen: Screen[Any], renderable: Any) -> None:
        if renderable is not None:
            found.frames.append([strip.text for strip in screen._compositor.render_strips()])
        display(app, screen, renderable)

    monkeypatch.setattr(PacedApp, "_display", shown)
    for owner, name, what in (
        (Screen, "_refresh_layout", "layouts"),
        (Stylesheet, "apply", "style sheets applied"),
        *((pane, "update", "updates") for pane in Pane.__subclasses__()),
    ):
        monkeypatch.setattr(owner, name, found.counted(getattr(owner, name), what))
    return found


@pytest.mark.parametrize("size", SIZES)
async def test_a_switch_lays_out_and_draws_once(size: tuple[int, int], work: Work) -> None:
    async with scene(size) as it:
        await it.press(*KEYS)
        for key in [*KEYS, *reversed(KEYS[:-1])]:
            await work.of(it, key)
            assert work.counts == {"layouts": 1}, key
            assert len(work.frames) == 1, key
        await it.press("z")
        for key in [*KEYS[1:], KEYS[0]]:
            await work.of(it, key)
            assert (work.counts, len(work.frames)) == ({"layouts": 1}, 1), f"{key}, with a zoomed pane"


@pytest.mark.parametrize("size", SIZES[1:])
async def test_the_first_frame_of_a_switch_has_what_came_while_the_pane_was_hidden(
    size: tuple[int, int], work: Work
) -> None:
    async with scene(size) as it:
        await it.press(*KEYS)
        for key in KEYS:
            await it.press("2" if key == "1" else "1")
            for number in range(60):
                about = f"{key}.{number}"
                call = {"tool_use_id": f"call {about}", "name": "Late", "input": {"command": "x " * 300}}
                session = f"{number % 3:032x}"
                it.app.inbox.put(it.morning.emit("request.tool_call", "r", **call))
                it.app.inbox.put(it.morning.emit("engine.log", None, line=f"line {about}"))
                it.app.inbox.put(it.morning.emit("request.received", f"late {about}", session=session))
            await it.settle()
            await work.of(it, key)
            assert work.frames[0] == work.frames[-1], key
            assert len(work.frames) <= 2, key


@pytest.mark.parametrize("size", SIZES)
async def test_the_first_frame_of_a_switch_is_right_the_first_time_and_in_another_size(
    size: tuple[int, int], work: Work
) -> None:
    async with scene((100, 30)) as it:
        for key in KEYS[1:]:
            await work.of(it, key)
            if key not in LOADS:
                assert work.frames[0] == work.frames[-1], f"{key}, which nobody saw before"
        for key in KEYS:
            await it.press("2" if key == "1" else "1")
            await it.pilot.resize_terminal(*size)
            await it.settle()
            await work.of(it, key)
            assert work.frames[0] == work.frames[-1], key
            await it.pilot.resize_terminal(100, 30)
            await it.settle()


async def test_the_ground_below_the_widgets_is_one_line_for_all() -> None:
    async with scene() as it:
        main = it.app.main
        for ground in (main, main.current.parent, main.current, main.current.children[0]):
            lines = ground.render_lines(main.size.region)  # type: ignore[union-attr]
            assert isinstance(lines[0], Strip)
            assert all(line is lines[0] for line in lines), ground


async def test_no_style_sheet_asks_for_the_focus_of_a_list() -> None:
    async with scene() as it:
        await it.press(*KEYS)
        views = [one for one in it.app.main.query(StripView) if one.can_focus]
        assert any(isinstance(one, LineTable) for one in views)
        for view in views:
            rules = []
            for focused in (False, True):
                view.set_reactive(Widget.has_focus, focused)
                it.app.stylesheet.update(view)
                rules.append(dict(view.styles.base.get_rules()))
            assert rules[0] == rules[1], f"{view}, which StripView.watch_has_focus leaves as it is"
