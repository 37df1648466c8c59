"""What opens over the panes, how one screen leads to another, and the way back along the crumbs.

A screen is imported when it first opens: all of them take longer to import than the first frame to draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import on, work

from tui.screen.host_actions.bundling import BundlingApp
from tui.screen.host_actions.questions import cannot_load
from tui.screen.keys.command import PANES, Command
from tui.screen.panes.traces import TracesPane
from tui.screen.reading.asked import ReadAtLength
from tui.screen.screens.main import MainScreen
from tui.screen.screens.opened import OpenedScreen

if TYPE_CHECKING:
    from proxy.events.cache_facts import CacheHoldings
    from proxy.traces.analysis.comparing.diff_facts import DiffFacts
    from proxy.traces.analysis.context_facts import ContextBudget
    from proxy.traces.analysis.why_facts import Why
    from proxy.traces.listing.turns import SessionTurns
    from proxy.traces.schema import Trace
    from tui.client.asking import WholeAnswer


class NavigatingApp(BundlingApp):
    """The part of the control center that opens screens over the panes, each one once.

    `state_folder` is the user's, for what the screen writes; None: the working directory.
    """

    state_folder: Path | None = None

    @property
    def host_address(self) -> tuple[str, str]:
        """The host's URL, without a password, and its token; empty where there is none."""
        raise NotImplementedError

    def draw_state(self) -> None:
        """Draw what is known on the visible screen, whatever was written before."""
        raise NotImplementedError

    @property
    def main(self) -> MainScreen:
        """The screen with the panes, also below another screen."""
        return next(screen for screen in self.screen_stack if isinstance(screen, MainScreen))

    @property
    def crumbs(self) -> list[str]:
        """The names of what is open, from the pane up to the screen in front."""
        return [dict(PANES)[self.main.current.place], *(screen.crumb for screen in self._opened())]

    def selected_traces(self) -> list[str]:
        """The trace in front, and the selected row's."""
        from tui.screen.screens.trace import TraceScreen

        opened = [screen.request for screen in self._opened() if isinstance(screen, TraceScreen)]
        selected = self.main.current.request
        running = {record.id for record in self.store.snapshot().active}
        return [
            trace for trace in dict.fromkeys((*reversed(opened), selected)) if trace and trace not in running
        ]

    def open(self, screen: OpenedScreen) -> None:
        """Open `screen` in front; where its subject is open already, go back to that."""
        subjects = [one.subject for one in self._opened()]
        if screen.subject in subjects:
            self.action_back_to(subjects.index(screen.subject) + 1)
        else:
            self.push_screen(screen)

    @property
    def ways_back(self) -> list[Command]:
        """The command that leads back to where the pane was gone to from, if it was."""
        return []

    def forget_way(self) -> None:
        """The user goes elsewhere: nothing leads back any more."""

    def action_to_crumb(self, level: int) -> None:
        """Back to what this crumb names."""
        self.action_back_to(level)

    @work(name="back", group="back", exclusive=True, exit_on_error=False)
    async def action_back_to(self, level: int, pane: str = "", then: str = "") -> None:
        """Close what is in front of `level` (0: the panes); then show `pane` and run the action `then`."""
        wanted: Any = self._opened()[level - 1] if level else self.main
        while self.screen is not wanted and len(self.screen_stack) > 1:
            await self.screen.dismiss()
        if pane:
            await self.main.until_complete()
            self.main.action_pane(pane)
        if then:
            await self.run_action(then, self.main)

    def show_pane(self, pane: str = "", then: str = "") -> None:
        """Close all that is over the panes; show `pane`, or stay in the current one, and run `then`."""
        self.action_back_to(0, pane, then)

    def _opened(self) -> list[OpenedScreen]:
        return [screen for screen in self.screen_stack if isinstance(screen, OpenedScreen)]

    def open_models(self) -> None:
        """Open the list of models, where this host's engine can load one."""
        from tui.screen.screens.models import ModelsScreen

        if refusal := cannot_load(self.store.snapshot()):
            self.notify_user(refusal, "warning")
        else:
            self.open(ModelsScreen(lambda: self._host_api().models()))

    def open_settings(self, key: str = "") -> None:
        """Open the settings of the running host, at one of them."""
        from tui.screen.screens.live_settings import SettingsScreen

        screen = SettingsScreen(lambda: self._host_api().settings())
        screen.first = key
        self.open(screen)

    # -- what the screens ask of the host -----------------------------------------------------------------

    async def load_trace(self, trace_id: str) -> Trace:
        """One trace, whole. Raises an error for people when it cannot be had."""
        return await self._host_api().trace(trace_id)

    async def load_why(self, trace_id: str) -> Why:
        """What explains one request. Raises an error for people when it cannot be had."""
        from tui.client.why_text import with_running_repeat

        found = await self._host_api().why(trace_id)
        known = (one for one in self.store.snapshot().requests if one.id == trace_id)
        return with_running_repeat(found, next(known, None))

    async def load_turns(self, trace_id: str) -> SessionTurns:
        """The turns of its session around a request. Raises an error for people when it cannot be had."""
        return await self._host_api().turns(trace_id)

    async def load_models(self) -> list[str]:
        """The models that this host may be asked for. Raises an error for people when it cannot be had."""
        return await self._host_api().answering_models()

    async def ask_again(self, body: Mapping[str, Any], query: str) -> WholeAnswer:
        """Ask the host for one answer. Raises an error for people when there is none."""
        return await self._host_api().ask_again(body, query)

    async def load_diff(self, b: str, a: str) -> DiffFacts:
        """Where two prompts part. Raises an error for people when it cannot be had."""
        return await self._host_api().diff(b, a)

    async def load_cache(self) -> CacheHoldings:
        """What the prefix cache holds. Raises an error for people when it cannot be had."""
        return await self._host_api().cache()

    async def load_context(self, session: str, at: str) -> ContextBudget:
        """What fills a session's window. Raises an error for people when it cannot be had."""
        return await self._host_api().context(session, at)

    @on(TracesPane.Explained)
    def _explain(self, event: TracesPane.Explained) -> None:
        from tui.screen.screens.why import WhyScreen

        self.open(WhyScreen(event.trace_id, self.load_why))

    @on(TracesPane.Compared)
    def _compare(self, event: TracesPane.Compared) -> None:
        from tui.screen.screens.diff import DiffScreen

        other = self.marked if self.marked != event.trace_id else ""
        self.open(DiffScreen(event.trace_id, other, self.load_diff))

    @on(ReadAtLength)
    def _read(self, event: ReadAtLength) -> None:
        from tui.screen.reading.read_screen import ReadScreen  # brings parsers that no frame before it needs

        if event.readable.text.strip():
            self.open(ReadScreen(event.readable, event.subject))
        else:
            self.notify("There is no text to read here.", timeout=3, markup=False)

    @on(TracesPane.Opened)
    def _open_trace(self, event: TracesPane.Opened) -> None:
        from tui.screen.screens.trace import TraceScreen

        self.main.traces.ensure_list()
        self.open(TraceScreen(event.trace_id, self.load_trace, self.main.traces.neighbour))
