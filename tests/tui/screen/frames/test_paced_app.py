"""What the app writes, on a terminal: the picture that Textual has composed, in fewer bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyte
import pytest
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Label

from tui.screen.frames.paced_app import PacedApp

WIDTH, HEIGHT = 60, 12


class Lines(PacedApp):
    """Some lines of text."""

    def compose(self) -> ComposeResult:
        with Vertical():
            for number in range(6):
                yield Label(f"line {number}", id=f"line-{number}", markup=False)

    def set(self, number: int, text: str) -> None:
        self.query_one(f"#line-{number}", Label).update(text)


class Box(ModalScreen[None]):
    def compose(self) -> ComposeResult:
        yield Label("a question above the lines", markup=False)


class Terminal:
    """What the app wrote, and what a terminal shows of it."""

    def __init__(self, app: Lines, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self.stream = pyte.Stream(self.screen)
        self.written = 0

    def write(self, text: str) -> None:
        self.written += len(text)
        self.stream.feed(text)

    @property
    def composed(self) -> list[str]:
        app = self.app
        strips = app.screen._compositor.render_strips(app.size)
        return [strip.text.rstrip() for strip in strips]

    @property
    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    async def settle(self) -> int:
        """Wait for the next picture; returns what was written for it."""
        before = self.written
        await self.pilot.pause()
        assert self.shown == self.composed
        return self.written - before


@asynccontextmanager
async def terminal(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Terminal]:
    app = Lines()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        it = Terminal(app, pilot)
        monkeypatch.setattr(PacedApp, "is_headless", False)
        monkeypatch.setattr(app._driver, "write", it.write)
        app.action_redraw()
        await it.settle()
        yield it


async def test_the_terminal_shows_what_was_composed_in_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with terminal(monkeypatch) as it:
        assert it.shown[2] == "line 2"
        it.app.set(2, "line 3")
        assert await it.settle() < 60
        it.app.set(3, "漢字 and more")
        it.app.set(4, "another text")
        await it.settle()
        it.app.set(3, "and more 漢字")
        await it.settle()
        await it.app.push_screen(Box())
        await it.settle()
        it.app.pop_screen()
        await it.settle()


async def test_a_terminal_that_shows_something_else_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async with terminal(monkeypatch) as it:
        it.screen.reset()
        it.app._resume_signal()  # as after an editor that had the terminal
        assert await it.settle() > 60
        it.screen.reset()
        it.app.action_redraw()
        await it.settle()


async def test_what_is_written_counts_against_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    async with terminal(monkeypatch) as it:
        it.app.frame_budget.allows(1e9, behind=False)
        assert it.app.frame_budget.allows(1e9, behind=False)
        for _ in range(5):
            it.app.action_redraw()
            await it.settle()
        assert not it.app.frame_budget.allows(1e9, behind=False)
