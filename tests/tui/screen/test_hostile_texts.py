"""Texts from the wire that would break a terminal, on every pane and every screen over the panes."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.cells import cell_len
from textual.screen import Screen

import tui.screen
from engine.wire.json_text import encode_json
from proxy.events.types import Event
from proxy.recordings.format import Contact, Moment, PastOfHost, Recording
from tests.proxy.trace_making import trace_of
from tests.tui.demo.plot import BUSY, demo_recording
from tests.tui.recorded import player_at
from tests.tui.screen.playing.test_playing_app import ready
from tests.tui.screen.screens.every_screen import BOXES, OPENED, Made, stand
from tests.tui.screen.test_app import Scene
from tests.tui.trace_samples import SampleHost, summaries
from tests.tui.traffic import Morning
from tui.client.records import Link
from tui.client.wire_text import line_text
from tui.screen.app import ControlCenter
from tui.screen.playing.playing_app import PlayingApp
from tui.screen.screens.confirm import ConfirmScreen
from tui.screen.trace_detail.handing_on import ExportScreen
from tui.screen.trace_detail.replay import ReplayQuestion

SCREEN = Path(tui.screen.__file__).parent

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


@asynccontextmanager
async def hostile_scene() -> AsyncIterator[Scene]:
    """The made-up morning with a hostile text within each text, and a host that answers with such."""
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
        yield it


async def test_no_text_breaks_a_pane_or_a_screen() -> None:
    async with hostile_scene() as it:
        app = it.app
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


# By the tests above and below, the palette in test_palette.py; help has texts of ours.
CHECKED = {"MainScreen", "PlayScreen", "HelpScreen", "PaletteScreen"}


async def test_no_text_breaks_any_screen_or_box_there_is() -> None:
    seen = set()
    async with stand(host=HostileHost) as it:
        for item in it.morning.arrivals():
            event = isinstance(item, Event)
            it.app.inbox.put(item.model_copy(update={"data": poisoned(item.data)}) if event else item)
        it.app.inbox.put(Link("live"))
        once = {type(made(it)).__name__: name for name, made in (*OPENED.items(), *BOXES.items())}
        for name in (*once.values(), *HOSTILE_BOXES):
            if name in HOSTILE_BOXES:
                await it.back()
                await it.app.push_screen(HOSTILE_BOXES[name](it))
                await it.settle()
            else:
                await it.open(name)
            seen.add(type(it.app.screen).__name__)
            check(it.app)
    bases = {"OpenedScreen", "SearchingScreen", "Box", "ChoiceBox"}  # of others alone
    assert screens_of_the_app() - bases == seen | CHECKED


def screens_of_the_app() -> set[str]:
    """Each class of a screen that the program has: a new one has to be among those that are tried."""
    for path in SCREEN.rglob("*.py"):
        importlib.import_module(".".join(path.relative_to(SCREEN.parents[1]).with_suffix("").parts))
    return _below(Screen)


def _below(one: type[Screen[Any]]) -> set[str]:
    own = {one.__name__} if one.__module__.startswith("tui.screen") else set()
    return own.union(*(_below(below) for below in one.__subclasses__()))


async def test_no_text_of_a_recording_breaks_the_player(tmp_path: Path) -> None:
    whole = demo_recording()
    moments = [_hostile_moment(moment) for moment in whole.moments]
    header = whole.header.model_copy(update={"about": HOSTILE})
    recording = Recording(
        header,
        moments,
        {name: poisoned(row) for name, row in whole.rows.items()},
        {name: poisoned(trace) for name, trace in whole.traces.items()},
        {
            path: [(at, one.model_copy(update={"body": poisoned(one.body)})) for at, one in answers]
            for path, answers in whole.answers.items()
        },
    )
    player = player_at(BUSY, recording)
    app = PlayingApp(recording, player)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        for keys in (
            "1",
            "2",
            "3",
            "4",
            "5",
            "w",
            "escape",
            "d",
            "escape",
            "t",
            "2",
            "3",
            "5",
            "escape",
            "C",
        ):
            await pilot.press(keys)
            await ready(app, pilot)
            app.draw_state()
            await pilot.pause()
            check(app)
        await pilot.press("escape", "g", *HOSTILE[-4:], "escape", "shift+left")
        await ready(app, pilot)
        check(app)


def _hostile_moment(moment: Moment) -> Moment:
    match moment.what:
        case bytes():
            event = moment.event()
            told = {"event": event.model_copy(update={"data": poisoned(event.data)}).model_dump()}
            return Moment(moment.at, encode_json(told))
        case PastOfHost(events):
            return Moment(
                moment.at, PastOfHost([one.model_copy(update={"data": poisoned(one.data)}) for one in events])
            )
        case Contact() as contact:
            return Moment(moment.at, contact.model_copy(update={"detail": HOSTILE}))
    return Moment(moment.at, poisoned(moment.what))


HOSTILE_BOXES: dict[str, Made] = {
    "confirm": lambda it: ConfirmScreen(line_text(HOSTILE), line_text(HOSTILE * 9), "yes"),
    "ask": lambda it: ReplayQuestion(
        poisoned(trace_of(1)), [HOSTILE, "b" + HOSTILE], 1, "replay", loads=True, payee=HOSTILE
    ),
    "export": lambda it: ExportScreen(Path("/home/ada")),
}
