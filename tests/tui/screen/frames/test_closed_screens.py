"""A screen that was closed is forgotten: its widgets, their lines and their texts."""

from __future__ import annotations

import gc
from collections import Counter

import pytest
from textual._styles_cache import StylesCache
from textual.widget import Widget

from tests.tui.screen.test_app import Scene, scene

_KEYS = (
    "w",
    "t",
    "c",
    "M",
    "comma",
    "question_mark",
    "V",
    "f",
    "C",
)  # timers hold the palette a while longer


async def _opened_and_closed(it: Scene, key: str) -> Counter[str]:
    """What there is of widgets afterwards, in all of this process."""
    await it.press("1", key)
    while it.app.screen is not it.app.main:
        await it.press("escape")
    gc.collect()
    return Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, Widget | StylesCache))


@pytest.mark.parametrize("key", _KEYS)
async def test_what_was_opened_and_closed_leaves_nothing(key: str) -> None:
    async with scene() as it:
        await it.press("down", "down", "down")
        await _opened_and_closed(it, key)
        before = await _opened_and_closed(it, key)
        await _opened_and_closed(it, key)
        assert await _opened_and_closed(it, key) - before == Counter()
