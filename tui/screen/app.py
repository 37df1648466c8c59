"""The control center: one Textual app with one store, which one host feeds.

The first frame needs no slow import: the worker imports the feed's HTTP client and the wire models (400 ms).
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import App
from textual.binding import BindingType
from textual.filter import LineFilter, Monochrome, NoColor
from textual.screen import Screen
from textual.theme import Theme

from engine.process.exit_codes import ExitCode
from tui.client.figures import clock, plural
from tui.client.inbox import Inbox
from tui.client.records import Link, ModelFit
from tui.screen.choices.configured import DEFAULT_CHOICES, ScreenChoices
from tui.screen.choices.own_command import take_command
from tui.screen.host_protocols import HostApi, OwnedHost
from tui.screen.keymap import key_of, take_keys
from tui.screen.leads.leading_app import LeadingApp
from tui.screen.palette.finders import FINDERS, PLACEHOLDER, themes_alone
from tui.screen.palette.palette_screen import PaletteScreen
from tui.screen.screens.confirm import ConfirmScreen
from tui.screen.screens.main import MainScreen
from tui.screen.screens.opened import OpenedScreen
from tui.screen.terminal_colours import In16Colours, In256Colours, WithoutColours
from tui.screen.terminal_title import TerminalTitle
from tui.screen.theme_choice import ThemeChoice
from tui.screen.theme_styles import ThemeStyles
from tui.screen.themes import NIGHT, OWN_THEMES
from tui.screen.trace_list.column_memory import ColumnMemory
from tui.screen.trace_list.source import ListSource
from tui.screen.widgets.vital_signs import VitalSignsReader, title_text

if TYPE_CHECKING:
    from tui.client.feed import Feed

FRAME_S = 0.1
MOST_EVENTS_A_FRAME = 4000  # a long replay is drawn in steps and does not freeze the screen


class ControlCenter(LeadingApp):
    """The screen. It owns `host` (worker "host"), or follows a host that runs elsewhere at `attach_url`.

    With neither it shows the content of its `inbox`, for the replay of a recording. `program` is the command
    line that starts this program for the same host, in texts that name a command to type. After the run,
    `return_code` is the command's exit code and `exit_message` goes to stderr.
    """

    CSS_PATH = "theme.tcss"
    TITLE = "anyclaude"
    COMMANDS: ClassVar[set[Any]] = set(FINDERS)
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        host: OwnedHost | None = None,
        attach_url: str | None = None,
        *,
        token: str = "",
        program: str = "",
        themes: ThemeChoice | None = None,
        choices: ScreenChoices = DEFAULT_CHOICES,
        suggest: Callable[[], ModelFit | None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(host)
        take_command(program)
        self.inbox = Inbox()
        self.exit_message = ""
        self._attach_url = attach_url
        self._token = token
        self._clock = clock
        self.client: HostApi | None = None  # once the host's address is known
        self._theme_styles: ThemeStyles | None = None
        self._feed: Feed | None = None
        self._refreshing = False
        self._vital_signs = VitalSignsReader()
        self._terminal_title = TerminalTitle()
        self.crash: Exception | None = None
        self._colour_filters: dict[str, list[LineFilter]] = {
            "256": [In256Colours()],
            "standard": [In16Colours()],
        }
        # Textual takes an empty NO_COLOR for a set one (no-color.org), and greys for no colours.
        self.no_color = bool(os.environ.get("NO_COLOR"))
        self._filters = [one for one in self._filters if not isinstance(one, Monochrome | NoColor)]
        self._no_colours = [WithoutColours()]
        for theme in (*OWN_THEMES, *choices.themes):
            self.register_theme(theme)
        self._choices = choices
        take_keys(choices.keys)
        self.notify_by = choices.notify
        self._suggest = suggest
        self.model_fit: ModelFit | None = None
        self._themes = themes or ThemeChoice()
        self.remembered = self._themes.remembered
        first = self._themes.first()
        self._unknown_theme = "" if first in self.available_themes else first
        self._first_theme = NIGHT.name if self._unknown_theme else first
        self._begin_with(self._first_theme)

    def _begin_with(self, theme: str) -> None:
        """Have this theme from the first style on: a change to it would parse and apply all styles twice."""
        self.set_reactive(App.theme, theme)
        dark = self.current_theme.dark
        self.update_classes(
            {"-dark-mode": dark, "-light-mode": not dark, f"-theme-{theme}": True}, update=False
        )
        self._refresh_truecolor_filter(self.ansi_theme)
        self.stylesheet.set_variables(self.get_css_variables())

    @property
    def theme_styles(self) -> ThemeStyles:
        """The styles of the current theme."""
        if self._theme_styles is None:
            self._theme_styles = ThemeStyles(self.theme_variables)
        return self._theme_styles

    @property
    def host_address(self) -> tuple[str, str]:
        return getattr(self.client, "url", ""), self._token

    def get_line_filters(self) -> Sequence[LineFilter]:
        if self.no_color:
            return self._no_colours
        return [
            *super().get_line_filters(),
            *self._colour_filters.get(self.console.color_system or "", []),
        ]

    def _theme_changed(self, theme: Theme) -> None:
        self._theme_styles = None
        if theme.name != self._first_theme:
            self._first_theme = theme.name
            self._themes.keep(theme.name)
            if self._themes.configured not in ("", theme.name):
                self.notify_user(f"The next screen begins with {self._themes.configured}, as configured.")
        for screen in self.screen_stack:
            screen.refresh(layout=True)
            for widget in screen.query("*"):
                widget.notify_style_update()
                widget.refresh()

    def get_default_screen(self) -> Screen[None]:
        source = ListSource(self._host_api, self._clock)
        return MainScreen(self.store, self._clock, source, ColumnMemory(self.remembered))

    # -- the two workers, and the frame -------------------------------------------------------------------

    def on_mount(self) -> None:
        self.set_keymap(self._choices.keys)
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        self.set_interval(FRAME_S, self.frame)
        if self._unknown_theme:
            self.notify_user(
                f"There is no theme {self._unknown_theme}; {key_of('main.colours')} lists those there are.",
                "warning",
            )
        if not self.is_headless:
            self._handle_signals()
        self.call_after_refresh(self._after_first_frame)

    async def _after_first_frame(self) -> None:
        """Do what would have delayed the first frame."""
        if not gc.isenabled():
            gc.freeze()  # modules and widgets stay to the end, and need not be looked at again
            gc.enable()
        self._start()
        await self.main.mount_hidden()
        await self.release_keys()

    @property
    def holds_keys(self) -> bool:
        """While a pane that is not there yet, or a find of the palette, was asked for: they are for that."""
        if not self.screen_stack:
            return False
        return self.main.awaits_pane or getattr(self.screen, "awaits_finds", False)

    def _start(self) -> None:
        """Start the workers."""
        if self._host is not None:
            self.run_worker(self._run_host(self._host), name="host", group="host", exit_on_error=False)
        elif self._attach_url is not None:
            self.run_worker(self._follow(self._attach_url), name="feed", group="feed", exit_on_error=False)

        if self._suggest is not None:
            self.run_worker(self._find_fit(self._suggest), name="fit", group="fit", exit_on_error=False)

    async def _find_fit(self, suggest: Callable[[], ModelFit | None]) -> None:
        """Look for a model that fits this machine, in a thread: the user's models are on the disk."""
        self.model_fit = await asyncio.to_thread(suggest)
        if self.model_fit is not None and self.is_running:
            self.main.current.update()

    async def _run_host(self, host: OwnedHost) -> None:
        """Start the host and wait until it ends; the screen stays, and can start it again."""
        self.inbox.put(Link("starting", "", self._clock()))
        self.exit_message, self._return_code, self._stop_asked = "", None, False
        try:
            url = await host.start()
        except Exception as error:
            code = getattr(error, "exit_code", ExitCode.ENGINE_FAILED)
            self.end(code, getattr(error, "message", "") or f"the host could not be started: {error}")
            return
        self.run_worker(self._follow(url), name="feed", group="feed", exit_on_error=False)
        code = await host.wait()
        self.workers.cancel_group(self, "feed")
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        last_line = f"; its last line: {host.last_words[-1]}" if host.last_words else ""
        again = f"{key_of('main.pane:health')} {key_of('health.restart')} starts it again"
        if self._stop_asked and not code:
            self.inbox.put(Link("ended", f"you stopped the host; {again}", self._clock()))
            return
        self.exit_message = f"the host ended ({how}){last_line}"
        self._return_code = code if code in (2, 3, ExitCode.ENGINE_FAILED) else ExitCode.ENGINE_FAILED
        self.inbox.put(Link("ended", f"the host ended ({how}); {again}", self._clock()))

    async def start_again(self, host: OwnedHost) -> None:
        await host.stop()  # what is left of the one before: its pipes
        self._start()

    async def _follow(self, url: str) -> None:
        """Follow the host's events until the screen closes."""
        await asyncio.to_thread(importlib.import_module, "tui.client.feed")
        from tui.client.feed import Feed
        from tui.client.host_client import HostClient

        client = self.client = HostClient(url, self._token)
        self._feed = Feed(client, self.inbox, clock=self._clock)
        try:
            await self._feed.follow()
        finally:
            await client.close()

    def frame(self) -> None:
        """Apply the events that arrived, and draw the visible screen."""
        if not self.is_running:  # the screens close before the timer stops
            return
        items, dropped = self.inbox.drain(MOST_EVENTS_A_FRAME)
        now = self._clock()
        for item in items:
            self.store.take(item)
        self.store.lose(dropped, now)
        self.store.expire(now)
        if not self.frame_budget.allows(time.monotonic(), behind=self.is_behind):
            return  # what is drawn now would stand before the answer to the next key
        if self.store.wants_state and self._feed is not None and not self._refreshing:
            self._refreshing = True
            self.run_worker(self._refresh_state(), name="state", group="state", exit_on_error=False)
        self.draw_state()

    def draw_state(self) -> None:
        """Draw what is known on the visible screen, whatever was written before; also below an open box."""
        now, snapshot = self._clock(), self.store.snapshot()
        vitals = self._vital_signs.read(snapshot, self.store.output_rate, now)
        self._terminal_title.show(title_text(vitals), self._driver)
        self.call_if_needed(snapshot, vitals, now)
        for screen in reversed(self.screen_stack):
            if isinstance(screen, MainScreen):
                screen.show(snapshot, vitals)
                break
            if isinstance(screen, OpenedScreen):
                screen.show(snapshot, title_text(vitals))
                break

    def _handle_exception(self, error: Exception) -> None:
        self.crash = self.crash or error
        super()._handle_exception(error)

    async def _refresh_state(self) -> None:
        try:
            if self._feed is not None:
                await self._feed.refresh()
        finally:
            self._refreshing = False

    def _handle_signals(self) -> None:
        """End cleanly on a signal and when the terminal is gone."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.end, ExitCode.INTERRUPTED, "")
        if sys.__stdin__ is not None and sys.__stdin__.isatty():
            self.set_interval(1.0, self._check_terminal)

    def _check_terminal(self) -> None:
        if sys.__stdin__ is None or not os.isatty(sys.__stdin__.fileno()):
            self.end(ExitCode.INTERRUPTED, "")

    def end(self, code: int, exit_message: str) -> None:
        """Close the screen with an exit code and a message."""
        self.exit_message = exit_message or self.exit_message
        self.exit(return_code=code)

    # -- requests to the host -----------------------------------------------------------------------------

    def _host_api(self) -> HostApi:
        link = self.store.snapshot().link
        if self.client is None or link.gone:
            since = f" since {clock(link.since)}" if link.gone else " yet"
            raise ConnectionError(f"no contact with the host{since}")
        return self.client

    @work(name="leave", group="leave", exclusive=True, exit_on_error=False)
    async def action_leave(self) -> None:
        """Quit; ask first if requests run on our own host."""
        active = len(self.store.snapshot().active)
        if self._host is not None and self._host.exit_code is None and active:
            running = f"{plural(active, 'request')} {'is' if active == 1 else 'are'} running"
            question = ConfirmScreen("Quit?", f"{running} on this host and will fail.", "quit")
            if not await self.push_screen_wait(question):
                return
        self.end(self.return_code or 0, "")

    def action_command_palette(self) -> None:
        """Find a command, or what the screen and the index know, on screens that have commands."""
        if hasattr(self.screen, "command_list") and not isinstance(self.screen, PaletteScreen):
            self.push_screen(PaletteScreen(placeholder=PLACEHOLDER))

    def search_themes(self) -> None:
        """The themes, the screen's own first."""
        self.push_screen(PaletteScreen(providers=[themes_alone()], placeholder="theme"))

    async def action_quit(self) -> None:
        self.action_leave()
