"""On the lowest terminal, crumbs and keys stay in sight, and all the rest can be scrolled to."""

from __future__ import annotations

import pytest
from textual.containers import Vertical, VerticalScroll
from textual.screen import Screen

from tests.tui.screen.screens.every_screen import BOXES, OPENED, Stand, stand
from tui.screen.screens.box import Box
from tui.screen.screens.main import LEAST_HEIGHT, LEAST_WIDTH
from tui.screen.screens.opened import OpenedScreen
from tui.screen.widgets.line_table import LineTable
from tui.screen.widgets.strip_view import StripView

LEAST = (LEAST_WIDTH, LEAST_HEIGHT)
SCREENS = [name for name in OPENED if name != "why"]


def subclasses(base: type[Screen[object]]) -> set[str]:
    found = {one for one in base.__subclasses__() if one.__module__.startswith("tui.")}
    return {one.__name__ for one in found} | {name for one in found for name in subclasses(one)}


def lines(it: Stand) -> list[str]:
    return it.text.split("\n")


async def test_all_screens_and_boxes_are_among_those_that_are_tried() -> None:
    async with stand(LEAST) as it:
        tried = {type(made(it)).__name__ for made in (*OPENED.values(), *BOXES.values())}
        base = {"Box", "ChoiceBox", "SearchingScreen"}  # of others alone
        assert tried == (subclasses(OpenedScreen) | subclasses(Box)) - base  # type: ignore[type-abstract]


async def test_crumbs_and_keys_of_a_screen_are_always_in_sight() -> None:
    async with stand(LEAST) as it:
        for name in SCREENS:
            await it.open(name)
            for keys in ((), ("end", "pagedown", "pagedown"), ("tab", *["down"] * 8)):
                await it.pilot.press(*keys)
                await it.settle()
                if it.app.screen is it.app.main:
                    break
                assert "›" in lines(it)[0], (name, keys)
                assert "esc back" in lines(it)[-1], (name, keys)


async def test_what_is_between_them_can_be_scrolled_to_by_keys() -> None:
    async with stand(LEAST) as it:
        for name in ("context", "diff", "models", "settings"):
            await it.open(name)
            middle = it.app.screen.query_one("#opened", VerticalScroll)
            assert middle.scroll_y == 0, name
            for part in it.app.screen.query(LineTable):
                if part.display and part.focusable:
                    part.focus()
                    await it.pilot.press("end", "pagedown", "pagedown", *["down"] * 9)
                    await it.settle()
            if name == "diff":
                await it.pilot.press("tab", "end", *["down"] * 9)
                await it.settle()
            assert middle.scroll_y == middle.max_scroll_y > 0, name
            it.app.screen.query(LineTable).first().focus()
            await it.pilot.press("home", *["pageup"] * 4, *["up"] * 4)
            await it.settle()
            assert middle.scroll_y == 0, name


@pytest.mark.parametrize("size", [LEAST, (80, 24)])  # on larger ones they have their pictures
async def test_the_keys_of_a_box_are_always_in_sight_and_the_rest_can_be_scrolled_to(
    size: tuple[int, int],
) -> None:
    async with stand(size) as it:
        for name in ("why", *BOXES):
            await it.open(name)
            box = it.app.screen
            assert isinstance(box, Box)
            frame = box.query_one(Vertical)
            assert box.region.contains_region(frame.region), name
            for hint in box.hints():
                assert f"{hint.key} {hint.word}" in it.text, name
            text = frame.children[1]
            assert text.region.height >= min(3, size[1] // 4), name
            if isinstance(text, StripView) and text.max_scroll_y:
                before = it.text
                await it.pilot.press("pagedown", "pagedown")
                await it.settle()
                assert it.text != before, name
                for hint in box.hints():
                    assert f"{hint.key} {hint.word}" in it.text, name
