"""What the palette finds, in which order, and what follows from taking it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from textual.command import CommandList, CommandPalette
from textual.content import Content
from textual.screen import Screen
from textual.theme import Theme

from proxy.events.types import Event
from tests.tui.screen.test_app import Scene, scene
from tests.tui.screen.test_hostile_texts import check, hostile_scene
from tests.tui.screen.test_keys_in_order import type_at_once
from tui.client.records import RequestSnapshot, Snapshot
from tui.screen.keys.table import COMMANDS
from tui.screen.palette.commands import WORDS
from tui.screen.palette.held import RequestProvider
from tui.screen.palette.offers import MOST
from tui.screen.palette.palette_screen import PaletteScreen
from tui.screen.panes.streams import StreamsPane
from tui.screen.screens.confirm import ConfirmScreen
from tui.screen.screens.help import HelpScreen
from tui.screen.screens.live_settings import SettingsScreen
from tui.screen.screens.main import MainScreen
from tui.screen.screens.trace import TraceScreen
from tui.screen.themes import OWN_THEMES


async def find(it: Scene, query: str) -> list[str]:
    """Type into the palette; the finds as they are listed."""
    if not isinstance(it.app.screen, CommandPalette):
        await it.press("colon")
    it.app.screen.query_one("CommandInput").value = query  # type: ignore[attr-defined]
    await it.pilot.pause()
    for worker in [one for one in it.app.workers if "gather" in one.group]:
        await worker.wait()
    await it.pilot.pause()
    found = it.app.screen.query_one(CommandList)
    return [str(found.get_option_at_index(place).prompt) for place in range(found.option_count)]


async def take(it: Scene, query: str, wanted: str) -> None:
    """Take the first find that has the words `wanted`."""
    found = await find(it, query)
    place = next((place for place, text in enumerate(found) if wanted in text), None)
    assert place is not None, f"{wanted!r} is not in {found}"
    it.app.screen.query_one(CommandList).highlighted = place
    await it.press("enter")
    if isinstance(it.app.screen, CommandPalette):
        await it.press("enter")
    await it.settle()


async def test_it_finds_what_the_screen_knows_and_leads_there() -> None:
    async with scene() as it:
        session = it.app.store.snapshot().sessions[0]
        await take(it, session.id[:8], "session " + session.id[:6])
        pane = it.app.main.current
        assert isinstance(pane, StreamsPane)
        assert pane.session == session.id
        words = session.name.split()
        assert session.name in (await find(it, f"{words[-1]} {words[0]}"))[0]
        await it.press("escape")

        record = next(one for one in it.app.store.snapshot().requests if one.calls and not one.active)
        call = record.calls[0]
        found = await find(it, f"{call.name} {call.about.split()[0]}")
        assert sum("request of session" in text for text in found) <= MOST
        await take(it, f"{call.name} {call.about.split()[0]}", "request of session")
        assert isinstance(it.app.screen, TraceScreen)


async def test_a_list_takes_its_filter_and_esc_leads_back() -> None:
    async with scene() as it:
        await it.press("2", "down")
        await take(it, "traces tool:Bash", "Traces: tool:Bash")
        assert (it.app.main.current.place, it.app.main.current.filter) == ("traces", "tool:Bash")
        await it.press("escape")
        assert it.app.main.current.place == "cache"
        await take(it, "calls tool:Edit", "Tools: tool:Edit")
        tools = it.app.main.current
        assert tools.main_table is not None
        assert {call.name for call in tools.main_table.rows} == {"Edit"}
        assert "not yet a filter: there is no is:broken" in " ".join(await find(it, "traces is:broken"))
        await it.press("escape")


async def test_it_asks_the_index_for_a_text_once_the_user_pauses() -> None:
    async with scene() as it:
        found = await find(it, "retry")
        assert any('Traces: "retry"' in text and "in all" in text for text in found)
        assert sum(text.split("\n")[-1].startswith("trace of") for text in found) <= MOST
        await take(it, "retry", 'Traces: "retry"')
        assert it.app.main.current.filter == '"retry"'

        async def broken(*arguments: Any, **more: Any) -> None:
            raise ConnectionError("gone")

        it.host.traces = broken  # type: ignore[assignment, method-assign]
        assert any("Back to" in text for text in await find(it, "back"))
        await it.press("escape")


async def test_themes_models_and_settings_are_named_with_their_value() -> None:
    async with scene() as it:
        found = await find(it, "theme")
        assert "Colours" in found[0] or "Theme" in found[0]
        assert any("Colours" in text for text in found)
        await take(it, "theme anyclaude-day", "Theme anyclaude-day")
        assert it.app.theme == "anyclaude-day"
        await find(it, "model ")
        [loadable] = [
            one for one in (await it.host.models()).models if not one.loaded and one.condition == "ready"
        ][:1]
        await take(it, f"model {loadable.name}", f"Model {loadable.name}")
        assert isinstance(it.app.screen, ConfirmScreen)
        await it.press("enter")
        assert it.host.wishes[-1].startswith("model ")

        settings = await it.host.settings()
        number = next(
            one for one in settings if isinstance(one.value, int) and not isinstance(one.value, bool)
        )
        await take(it, f"set {number.key}", f"Set {number.key}")
        assert isinstance(it.app.screen, SettingsScreen)
        selected = it.app.screen._table.selected
        assert selected is not None
        assert selected.key == number.key
        await it.press("escape")
        await take(it, f"set {number.key} {number.value + 1}", f"Set {number.key} to {number.value + 1}")
        if isinstance(it.app.screen, ConfirmScreen):
            await it.press("enter")
        assert number.key in " ".join(it.host.wishes) or number.key in str(it.host.changed)


async def test_models_and_settings_are_found_by_their_names_alone() -> None:
    async with scene() as it:
        model, setting = (await it.host.models()).models[0], (await it.host.settings())[0]
        assert any(f"Model {model.name}" in text for text in await find(it, model.name))
        name = setting.key.rpartition(".")[2]
        assert any(f"Set {setting.key}" in text for text in await find(it, name))
        assert not any(text.startswith("Set ") for text in await find(it, f"{name} no such setting"))
        listed = [text for text in await find(it, "set") if text.startswith("Set ")]
        assert len(listed) == min(MOST, len(await it.host.settings()))
        await it.press("escape")


async def test_the_list_of_themes_begins_with_the_screens_own_and_marks_the_one_shown() -> None:
    async with scene() as it:
        it.app.theme = "anyclaude-16"
        await it.press("ctrl+t")
        listed = await find(it, "")
        assert [text.split("\n")[0] for text in listed[:5]] == [theme.name for theme in OWN_THEMES]
        assert len(listed) == len(it.app.available_themes)
        assert [text.split("\n")[0] for text in listed if "is shown" in text] == ["anyclaude-16"]
        await take(it, "contrast day", "anyclaude-contrast-day")
        assert it.app.theme == "anyclaude-contrast-day"


@pytest.mark.parametrize("turns", range(8))
async def test_it_may_be_closed_at_any_moment(turns: int) -> None:
    """Also before it is mounted, and before its first search begins: so fast are pasted keys."""
    async with scene() as it:
        for close in (lambda: it.app.screen.dismiss(), it.app.pop_screen):
            it.app.action_command_palette()
            for _ in range(turns):
                await asyncio.sleep(0)
            close()
            await it.pilot.pause()
            assert it.app.screen is it.app.main
        it.app.action_command_palette()
        opened = it.app.screen
        await it.pilot.pause()
        assert isinstance(opened, PaletteScreen)
        opened._gather_commands("theme")  # its worker begins once the screen is gone
        await opened.dismiss()
        await it.pilot.pause()
        assert it.app.is_running
        assert it.app._exception is None


async def test_a_theme_of_ones_own_is_found_in_any_case() -> None:
    async with scene() as it:
        it.app.register_theme(Theme(name="My-Own", primary="#ff0000"))
        await take(it, "theme my-own", "Theme My-Own")
        assert it.app.theme == "My-Own"


async def test_what_has_no_session_is_not_offered_as_one() -> None:
    async with scene() as it:
        at = it.app.store.snapshot().requests[-1].received
        data = {"model": "m", "backend": "mlx", "lane": "main", "preview": "a stray question"}
        it.app.store.take(Event(seq=10**6, time=at, type="request.received", request="stray", data=data))
        assert "" in [one.id for one in it.app.store.snapshot().sessions]
        found = await find(it, "stray question")
        assert any("request" in text for text in found)
        assert not any("session ," in text or "told none" in text for text in found)


async def test_a_command_is_found_by_the_words_that_people_type() -> None:
    words = {
        "theme": "Colours",
        "dark": "Colours",
        "config": "Settings of the running host",
        "switch": "Load another model",
        "exit": "Quit",
        "bug report": "Make a bug bundle",
        "jump": "Go on to its trace",
    }
    async with scene() as it:
        for query, title in words.items():
            assert any(title in text for text in (await find(it, query))[:3]), query
        known = {command.name for command in COMMANDS}
        assert set(WORDS) <= known


async def test_no_name_is_read_as_markup_or_breaks_a_line() -> None:
    async with hostile_scene() as it:
        for query in ("session", "request", "bash", "trace", "theme", "model ", "set cache", "retry"):
            assert await find(it, query), query
            check(it.app)
        assert any("[/]" in text for text in await find(it, "session"))
        await find(it, "traces [/][@click=app.quit] [")
        check(it.app)


async def test_many_requests_leave_room_for_keys() -> None:
    """The loop gets its turn while thousands of requests are looked at, and the finds are few."""
    record = RequestSnapshot(id="r", received=1.0, updated=1.0, preview="needle")
    many = tuple(replace(record, id=str(number), preview="hay") for number in range(5000))
    snapshot = Snapshot(requests=(*[replace(record, id=f"n{one}") for one in range(20)], *many))

    class App:
        class store:
            @staticmethod
            def snapshot() -> Snapshot:
                return snapshot

        @staticmethod
        def go_to(name: str, subject: object) -> None: ...

    provider = RequestProvider.__new__(RequestProvider)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    class Screen:
        app = App()

    provider._Provider__screen = Screen()  # type: ignore[attr-defined]
    provider._Provider__match_style = None  # type: ignore[attr-defined]
    other = asyncio.create_task(others())
    found = [hit async for hit in provider.search("needle")]
    other.cancel()
    assert len(found) == MOST
    assert all(isinstance(hit.match_display, Content) for hit in found)
    assert turns >= 40


@pytest.mark.parametrize(
    ("keys", "place", "screen"),
    [
        (":show health\n", "health", MainScreen),
        (":show health\n1", "streams", MainScreen),  # what is typed behind it comes behind it
        (":show traces\n?", "traces", HelpScreen),
        (":zzzz\n", "streams", PaletteScreen),  # nothing is found, and it stays open
        (":zzzz\n\x1b3", "tools", MainScreen),
        (":\n\x1b\x1b3", "tools", MainScreen),
    ],
)
async def test_an_enter_takes_what_is_found_for_what_stands_there(
    keys: str, place: str, screen: type[Screen[Any]]
) -> None:
    async with scene() as it:
        await type_at_once(it, keys)
        for worker in [one for one in it.app.workers if "gather" in one.group]:
            await worker.wait()
        await it.settle()
        assert it.app.main.current.place == place
        assert isinstance(it.app.screen, screen)
        assert not it.app.holds_keys


async def test_a_palette_that_is_closed_while_it_searches_holds_no_key() -> None:
    async with scene() as it:
        await type_at_once(it, ":show health\n4")
        while it.app.screen is not it.app.main:
            await it.app.pop_screen()
        await it.settle()
        await type_at_once(it, "3")
        assert it.app.main.current.place == "tools"


async def test_it_opens_again_while_the_one_before_is_being_removed() -> None:
    async with scene() as it:
        for _ in range(3):
            it.app.action_command_palette()
            await it.pilot.pause()
            assert isinstance(it.app.screen, PaletteScreen)
            it.app.pop_screen()
        it.app.action_command_palette()
        await it.pilot.pause()
        assert it.app._exception is None
