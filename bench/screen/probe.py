"""The programs that the bench of the screen compares: ours, Textual's way, and an empty app.

python bench/screen/probe.py empty              an app of one line, which keys change
python bench/screen/probe.py first empty|own    the processor time of the first frame, into $FIRST_FRAME
python bench/screen/probe.py textual URL        our app with Textual's own frames, ten a second
python bench/screen/probe.py hours              memory before and after eight hours of events, as JSON
python bench/screen/probe.py texts              the processor time of opening long texts, as JSON

It is run as a file, and imports at its top no more than each app needs: as a module it would first load the
bench, whose HTTP client and terminal would count as part of what it measures.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Label


class EmptyApp(App[None]):
    """The least that draws and listens."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, f"show('{key}')", show=False) for key in ("1", "2", "3", "4", "5", "j", "k")
    ]
    ENABLE_COMMAND_PALETTE = False

    def compose(self) -> ComposeResult:
        yield Label("empty", id="line", markup=False)

    def action_show(self, key: str) -> None:
        """Change the line."""
        line = self.query_one("#line", Label)
        line.update(f"{key} after {line.content}"[:40])


def _first_frame(app_type: type[App[Any]], widget: str) -> None:
    """Have the first frame with that widget note the processor time that it took to come."""
    shown = app_type.post_display_hook

    def note(app: App[Any]) -> None:
        place = Path(os.environ["FIRST_FRAME"])
        if not place.exists() and app._driver is not None and app.screen.query(widget):
            place.write_text(str(time.process_time()))
        shown(app)

    app_type.post_display_hook = note  # type: ignore[method-assign, assignment]


def _own(*arguments: str) -> None:
    from tui.program import main

    sys.argv = ["anyclaude-tui", *arguments]
    main()


def _with_textuals_frames(url: str) -> None:
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
        EmptyApp().run()
    elif mode == "first" and more[0] == "empty":
        _first_frame(EmptyApp, "#line")
        EmptyApp().run()
    elif mode == "first":
        _first_frame(App, "TopBar")
        _own(
            "--backend", "openai", "--base-url", "http://127.0.0.1:9/v1", "--port", "0"
        )  # a host of its own, without a model to load
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
