"""A key of a screen over the panes does something, or says why not: also while it loads, or cannot."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.tui.screen.screens.every_screen import OPENED, Stand, stand
from tests.tui.trace_samples import SampleHost
from tui.screen.keymap import commands, commands_on
from tui.screen.screens.opened import OpenedScreen
from tui.screen.trace_detail.parts import PARTS

SCREENS = [name for name in OPENED if not name.startswith("trace")] + [f"trace, {PARTS[1].name}"]
# What cannot be seen here: the end of the app, the same screen again, another program, the part in front.
LEFT_OUT = {"leave", "app.redraw", "outside('pager')", "outside('editor')", "part(1)"}


class SlowHost(SampleHost):
    """Its answers are awaited for ever."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or not asyncio.iscoroutinefunction(found):
            return found

        async def never(*args: Any, **more: Any) -> Any:
            await asyncio.get_running_loop().create_future()

        return never


class BrokenHost(SampleHost):
    """It refuses whatever is asked."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or not asyncio.iscoroutinefunction(found):
            return found

        async def refuse(*args: Any, **more: Any) -> Any:
            raise ConnectionError("the host refused")

        return refuse


def seen(it: Stand) -> tuple[object, ...]:
    """What a person can notice."""
    app = it.app
    # By name: on a busy machine one may go as another comes.
    notices = frozenset(one.identity for one in app._notifications)
    return it.text, len(app.screen_stack), app.focused, notices, app.clipboard


async def quiet(it: Stand) -> None:
    await it.pilot.pause()
    await it.pilot.pause()


async def opened(it: Stand, name: str) -> OpenedScreen:
    await it.back()
    await it.app.push_screen(OPENED[name](it))
    await quiet(it)
    if not isinstance(it.host, SlowHost):
        await it.settle()
    assert isinstance(it.app.screen, OpenedScreen)
    return it.app.screen


@pytest.mark.parametrize("host", [SlowHost, BrokenHost, SampleHost])
async def test_each_key_of_each_screen_is_answered(host: type[SampleHost]) -> None:
    """In one app for each host: to start one costs as much as the keys of a screen do."""
    silent = []
    async with stand(host=host) as it:
        for name in SCREENS:
            screen = await opened(it, name)
            for command in commands(screen.place):
                if command.action in LEFT_OUT:
                    continue
                if it.app.screen is not screen:
                    screen = await opened(it, name)
                before = seen(it)
                await screen.run_command(command)
                await quiet(it)
                if seen(it) == before:
                    silent.append((name, command.id))
    assert silent == []


async def test_each_key_that_all_of_them_have_is_answered() -> None:
    async with stand() as it:
        for name in ("why", "models"):
            for command in commands_on((await opened(it, name)).place):
                if command.place == "opened" and command.action not in LEFT_OUT:
                    if not isinstance(screen := it.app.screen, OpenedScreen):
                        screen = await opened(it, name)
                    before = seen(it)
                    await screen.run_command(command)
                    await quiet(it)
                    assert seen(it) != before, (name, command.id)
