"""Texts from the wire that would break a terminal, on every pane and every screen over the panes."""

from __future__ import annotations

import asyncio
import dataclasses
import unicodedata
from typing import Any

from pydantic import BaseModel
from rich.cells import cell_len

from proxy.events.types import Event
from tests.tui.screen.test_app import Scene
from tests.tui.trace_samples import SampleHost, summaries
from tests.tui.traffic import Morning
from tui.client.records import Link
from tui.screen.app import ControlCenter

HOSTILE = (
    "\x1b]52;c;eA==\x07[/][@click=app.quit]"
    "\u202e宽\ud800\u200b\r\n\t👩‍👧a\u0301\x9b31m\u2066\u2028\x00\U000e0041"
)
# What other records name, or a program has written: no text of a person, a model or a tool.
NAMES = {
    "id", "trace", "session", "tool_use_id", "request", "retry_of", "lane", "state", "kind", "type", "role",
    "status", "tier", "reason", "cause", "stop_reason", "verdict", "level", "path", "url", "backend", "key",
}  # fmt: skip
BROKEN = {"Cc", "Cs", "Zl", "Zp"}  # categories of signs that move the cursor, or cannot be written
TURNED = set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069")


def poisoned(value: Any, name: str = "") -> Any:
    """`value` with a hostile text within each text."""
    if isinstance(value, str):
        return value if name in NAMES or not value else value[:3] + HOSTILE + value[3:]
    if isinstance(value, dict):
        return {key: poisoned(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [poisoned(one, name) for one in value]
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        free = [one for one, field in fields.items() if "Literal" not in str(field.annotation)]
        return value.model_copy(update={one: poisoned(getattr(value, one), one) for one in free})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        free = [one.name for one in dataclasses.fields(value) if one.init and "Literal" not in str(one.type)]
        return dataclasses.replace(value, **{one: poisoned(getattr(value, one), one) for one in free})
    return value


class HostileHost(SampleHost):
    """A host whose every answer is full of such texts."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or not asyncio.iscoroutinefunction(found):
            return found

        async def answer(*args: Any, **more: Any) -> Any:
            return poisoned(await found(*args, **more))

        return answer


def check(app: ControlCenter) -> None:
    """Each line of the screen is as wide as the terminal, and has only signs that stay in their cells."""
    for strip in app.screen._compositor.render_strips(app.size):
        broken = [sign for sign in strip.text if unicodedata.category(sign) in BROKEN or sign in TURNED]
        assert not broken, strip.text
        assert cell_len(strip.text) == app.size.width, strip.text


ABOVE = {
    "w": "WhyScreen",
    "d": "DiffScreen",
    "c": "ContextScreen",
    "M": "ModelsScreen",
    "comma": "SettingsScreen",
}


async def test_no_text_breaks_a_pane_or_a_screen() -> None:
    morning = Morning().play()
    app = ControlCenter(clock=lambda: morning.now)
    app.client = host = HostileHost(summaries(morning))
    for item in morning.arrivals():
        event = isinstance(item, Event)
        app.inbox.put(item.model_copy(update={"data": poisoned(item.data)}) if event else item)
    app.inbox.put(Link("live"))
    async with app.run_test(size=(120, 40)) as pilot:
        it = Scene(app, pilot, morning, host)
        await it.settle()
        for keys in ("1", "enter", "2", "3", "4", "enter", "5"):
            await it.press(keys)
            check(app)
        for key, name in ABOVE.items():
            await it.press(key)
            assert type(app.screen).__name__ == name
            check(app)
            await it.press("escape")
            while len(app.screen_stack) > 2:
                await it.press("escape")
        await it.press("t")
        for key in "ER":  # its parts are drawn with such texts in trace_detail/test_parts.py
            await it.press(key)
            check(app)
            while type(app.screen).__name__ != "TraceScreen":
                await it.press("escape")
        await it.press("R", "enter")
        assert type(app.screen).__name__ == "ReplayScreen"
        check(app)
