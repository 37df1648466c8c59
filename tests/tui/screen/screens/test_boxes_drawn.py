"""What a box draws: it is right in its first frame, in no more bytes than a slow link takes in a moment."""

from __future__ import annotations

import pytest

from tests.tui.screen.screens.every_screen import BOXES, stand
from tests.tui.screen.test_app import scene
from tests.tui.screen.work import count_bytes, watched

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
