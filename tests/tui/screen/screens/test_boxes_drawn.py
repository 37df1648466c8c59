"""What a box draws: it is right in its first frame, in no more bytes than a slow link takes in a moment."""

from __future__ import annotations

import pytest

from tests.tui.screen.screens.every_screen import BOXES, stand
from tests.tui.screen.test_app import scene
from tests.tui.screen.work import count_bytes, watched
from tests.tui.stage import drawn
from tui.client.records import Link
from tui.screen.widgets.key_bar import KeyBar

SIZES = ((44, 12), (80, 24), (120, 40), (200, 50))
MOST_BYTES = 9_000  # 0.3 s at 30 kB/s


@pytest.mark.parametrize("size", SIZES)
async def test_a_box_is_right_in_its_first_frame(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the bar (one cell, Textual has two) of a text that is longer than its box."""
    async with stand(size) as it:
        work = watched(monkeypatch)
        for name, made in BOXES.items():
            await it.back()
            await it.pilot.pause()
            work.start()
            await it.app.push_screen(made(it))
            await it.pilot.pause()
            own = [frame for frame, of in zip(work.frames, work.screens, strict=True) if of is it.app.screen]
            for first, last in zip(own[0], own[-1], strict=True):
                assert sum(a != b for a, b in zip(first, last, strict=True)) <= 2, (name, first, last)


async def test_help_opens_and_closes_in_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene() as it:
        work = watched(monkeypatch)
        count_bytes(it.app, work, monkeypatch)
        await it.settle()
        for key in ("question_mark", "escape"):
            work.start()
            await it.press(key)
            assert 2_000 < work.written < MOST_BYTES, key


async def test_what_is_below_a_box_stays_true() -> None:
    for opened in ("", "context"):
        async with stand((120, 40)) as it:
            if opened:
                await it.open(opened)
            below = it.app.screen
            await it.app.push_screen(BOXES["confirm"](it))
            await it.settle()
            assert "live" in drawn(below.query_one(KeyBar))[0]
            it.app.inbox.put(Link("ended", "the host has ended"))
            it.app.frame()
            await it.settle()
            assert "live" not in drawn(below.query_one(KeyBar))[0]
