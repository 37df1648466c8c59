"""The control center from its first frame to its end: settings, output of others, the host's end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tui.client.records import ModelFit
from tui.client.wire_text import line_text
from tui.screen.app import ControlCenter
from tui.screen.choices.configured import DEFAULT_CHOICES, ScreenChoices
from tui.screen.host_actions.bundling import Bundler
from tui.screen.host_protocols import OwnedHost
from tui.screen.keys.terminal_answers import ignore_terminal_answers
from tui.screen.output_redirect import redirect_output
from tui.screen.terminal_background import light_background
from tui.screen.terminal_title import kept_title
from tui.screen.theme_choice import ThemeChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenSettings:
    """What a control center is begun with, beside its host."""

    program: str = ""  # the command line that starts this program for the same host, in texts that name one
    token: str = ""
    log_path: Path | None = None  # gets what libraries and children print; None: nothing does
    theme_path: Path | None = None  # the file that the user's theme is remembered in
    own_file: Path | None = None  # of the user's settings, if the host is here
    choices: ScreenChoices = DEFAULT_CHOICES  # what the configuration says of the screen
    bundler: Bundler | None = None  # makes bug bundles
    suggest: Callable[[], ModelFit | None] | None = None  # finds a model that fits this machine


def run_app(host: OwnedHost | None, attach_url: str | None, settings: ScreenSettings) -> int:
    """Show the control center until the user quits; returns the exit code of the command.

    Output of libraries and children on file descriptors 1 and 2 goes to the log, so that it does not
    overwrite the screen. Our own host is stopped before this returns.
    """
    choices, theme_path = settings.choices, settings.theme_path
    app = ControlCenter(
        host,
        attach_url,
        token=settings.token,
        program=settings.program,
        themes=ThemeChoice(theme_path, light_background=light_background, configured=choices.theme),
        choices=choices,
        suggest=settings.suggest,
    )
    app.own_file = settings.own_file
    app.bundler = settings.bundler
    app.state_folder = theme_path.parent if theme_path is not None else None
    return show_app(app, settings.log_path, host)


def show_app(app: ControlCenter, log_path: Path | None, host: OwnedHost | None = None) -> int:
    """Show `app` until the user quits, and stop its own host then; returns the exit code of the command."""

    async def run() -> None:
        try:
            with redirect_output(log_path), kept_title(sys.__stderr__):
                await app.run_async()
        finally:
            if host is not None:
                if host.exit_code is None:
                    _say("stopping the host and its engine …")
                await host.stop()

    ignore_terminal_answers()
    asyncio.run(run())
    if app.crash is not None:
        name, words = type(app.crash).__name__, line_text(str(app.crash), 200)
        where = f"the traceback is in {log_path}" if log_path is not None else "its traceback was not kept"
        app.exit_message = f"the screen failed ({name}: {words}); {where}; please report it"
    if app.exit_message:
        _say(app.exit_message)
    return app.return_code or 0


def _say(text: str) -> None:
    print(f"anyclaude-tui: {text}", file=sys.stderr, flush=True)  # noqa: T201
