"""The programs that the bench of the screen compares: ours, Textual's way, and an empty app.

python bench/screen/probe.py empty              an app of one line, which keys change
python bench/screen/probe.py first empty|own    the processor time of the first frame, into $FIRST_FRAME
python bench/screen/probe.py textual URL        our app with Textual's own frames, ten a second
python bench/screen/probe.py hours              memory before and after eight hours of events, as JSON
python bench/screen/probe.py texts              the processor time of opening long texts, as JSON

It is run as a file, and imports at its top next to nothing: as a module it would first load the bench, whose
HTTP client and terminal would count as part of what it measures, and our command imports Textual in its time.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App


def _empty_app() -> App[None]:
    """The least that draws and listens."""
    from textual.app import App, ComposeResult
    from textual.binding import Binding
    from textual.widgets import Label

    class EmptyApp(App[None]):
        BINDINGS = [  # noqa: RUF012
            Binding(key, f"show('{key}')", show=False) for key in ("1", "2", "3", "4", "5", "j", "k")
        ]
        ENABLE_COMMAND_PALETTE = False

        def compose(self) -> ComposeResult:
            yield Label("empty", id="line", markup=False)

        def action_show(self, key: str) -> None:
            """Change the line."""
            line = self.query_one("#line", Label)
            line.update(f"{key} after {line.content}"[:40])

    return EmptyApp()


def _note_first_frame(widget: str) -> None:
    """Have the first frame with that widget note the processor time that it took to come."""
    from textual.app import App

    shown = App.post_display_hook

    def note(app: App[Any]) -> None:
        place = Path(os.environ["FIRST_FRAME"])
        if not place.exists() and app._driver is not None and app.screen.query(widget):
            place.write_text(str(time.process_time()))
        shown(app)

    App.post_display_hook = note  # type: ignore[method-assign, assignment]


def _own(*arguments: str) -> None:
    from tui.program import main

    sys.argv = ["anyclaude-tui", *arguments]
    main()


def _own_first_frame() -> None:
    from tui.commands import screen

    show = screen._show

    def show_noted(*arguments: Any) -> int:
        _note_first_frame("TopBar")
        return show(*arguments)

    screen._show = show_noted  # type: ignore[assignment]
    # With a host of its own, without a model to load.
    _own("--backend", "openai", "--base-url", "http://127.0.0.1:9/v1", "--port", "0")


def _with_textuals_frames(url: str) -> None:
    from textual.app import App

    from tui.screen.frames.frame_budget import FrameBudget
    from tui.screen.frames.paced_app import PacedApp

    PacedApp._display = App._display  # type: ignore[method-assign]
    FrameBudget.allows = lambda self, now, *, behind: not behind  # type: ignore[method-assign]
    _own("--attach", url)


def _hours() -> None:
    import psutil

    from bench.screen.hours import play

    process = psutil.Process()

    def held() -> float:
        return float(process.memory_info().rss)

    print(json.dumps(asyncio.run(play(held))))


def main(mode: str, *more: str) -> None:
    """Be one of the programs."""
    if mode == "empty":
        _empty_app().run()
    elif mode == "first" and more[0] == "empty":
        _note_first_frame("#line")
        _empty_app().run()
    elif mode == "first":
        _own_first_frame()
    elif mode == "textual":
        _with_textuals_frames(more[0])
    elif mode == "hours":
        _hours()
    elif mode == "texts":
        from bench.screen.texts import opened

        print(json.dumps(asyncio.run(opened())))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
