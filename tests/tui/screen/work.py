"""What keys make the app do: the frames that it draws, what it writes, and what it works out for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from textual.css.stylesheet import Stylesheet
from textual.screen import Screen

from tui.screen.frames.paced_app import PacedApp
from tui.screen.panes.pane import Pane


class Work:
    """The frames since `start`, each as the lines of the whole screen, and what else was done."""

    def __init__(self) -> None:
        self.frames: list[list[str]] = []
        self.screens: list[Screen[Any]] = []  # of the frames
        self.written = 0  # bytes
        self.counts: Counter[str] = Counter()

    def start(self) -> None:
        """Forget what was done before."""
        self.frames.clear()
        self.screens.clear()
        self.written = 0
        self.counts.clear()

    def counted(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.counts[what] += 1
            return function(*arguments, **named)

        return call

    def write(self, text: str) -> None:
        """In place of a driver's."""
        self.written += len(text.encode())


def watched(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Note from now on what is done."""
    found = Work()
    display = PacedApp._display

    def shown(app: PacedApp, screen: Screen[Any], renderable: Any) -> None:
        if renderable is not None:
            found.frames.append([strip.text for strip in screen._compositor.render_strips()])
            found.screens.append(screen)
        display(app, screen, renderable)

    monkeypatch.setattr(PacedApp, "_display", shown)
    for owner, name, what in (
        (Screen, "_refresh_layout", "layouts"),
        (Stylesheet, "apply", "style sheets applied"),
        *((pane, "update", "updates") for pane in Pane.__subclasses__()),
    ):
        monkeypatch.setattr(owner, name, found.counted(getattr(owner, name), what))
    return found


def count_bytes(app: PacedApp, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an app without a terminal write as to one, a whole frame first, and note how much that is."""
    monkeypatch.setattr(PacedApp, "is_headless", False)
    monkeypatch.setattr(app._driver, "write", work.write)
    app.action_redraw()
