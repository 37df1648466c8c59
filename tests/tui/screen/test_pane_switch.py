"""What a pane switch draws: one frame, which is right at once, and nothing twice."""

from __future__ import annotations

import pytest
from textual.strip import Strip
from textual.widget import Widget

from tests.tui.screen.test_app import Scene, scene
from tests.tui.screen.work import Work, watched
from tui.screen.keys.command import PANES
from tui.screen.widgets.line_table import LineTable
from tui.screen.widgets.strip_view import StripView

SIZES = ((44, 12), (80, 24), (120, 40), (200, 50))
KEYS = [str(number) for number, _ in enumerate(PANES, 1)]
LOADS = {"2", "5"}  # panes that ask the host when they are seen for the first time


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return watched(monkeypatch)


async def pressed(it: Scene, key: str, work: Work) -> None:
    """Press a key, and note what follows until nothing more is drawn."""
    work.start()
    await it.press(key)


@pytest.mark.parametrize("size", SIZES)
async def test_a_switch_lays_out_and_draws_once(size: tuple[int, int], work: Work) -> None:
    async with scene(size) as it:
        await it.press(*KEYS)
        for key in [*KEYS, *reversed(KEYS[:-1])]:
            await pressed(it, key, work)
            assert work.counts == {"layouts": 1}, key
            assert len(work.frames) == 1, key
        await it.press("z")
        for key in [*KEYS[1:], KEYS[0]]:
            await pressed(it, key, work)
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
            await pressed(it, key, work)
            assert work.frames[0] == work.frames[-1], key
            assert len(work.frames) <= 2, key


@pytest.mark.parametrize("size", SIZES)
async def test_the_first_frame_of_a_switch_is_right_the_first_time_and_in_another_size(
    size: tuple[int, int], work: Work
) -> None:
    async with scene((100, 30)) as it:
        for key in KEYS[1:]:
            await pressed(it, key, work)
            if key not in LOADS:
                assert work.frames[0] == work.frames[-1], f"{key}, which nobody saw before"
        for key in KEYS:
            await it.press("2" if key == "1" else "1")
            await it.pilot.resize_terminal(*size)
            await it.settle()
            await pressed(it, key, work)
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


def test_no_view_has_a_handler_for_an_event_that_it_does_not_get() -> None:
    found = [StripView]
    for view in found:
        found += view.__subclasses__()
        handlers = {f"on_{one.__name__.lower()}" for one in view.IGNORED}
        own = {
            name.lstrip("_")
            for base in view.__mro__
            if base.__module__.startswith("tui.")
            for name in vars(base)
        }
        assert not handlers & own, view
    assert len(found) > 8
