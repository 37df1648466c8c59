"""The main screen: five panes; the visible one is drawn at most ten times a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from textual import events
from textual.app import ComposeResult
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from tui.client.filter import known_values
from tui.client.records import Snapshot
from tui.client.store import Store
from tui.screen.choices.layouts import ZOOMED, toggle_zoom
from tui.screen.frames.ground import Ground
from tui.screen.frames.removed_widgets import WithoutRemoved
from tui.screen.frames.selection_owner import SelectionOwner
from tui.screen.host_actions.questions import cannot_change, cannot_restart
from tui.screen.keymap import bindings, commands, footer
from tui.screen.keys.command import PANES, Command
from tui.screen.keys.table import LEADS, WHILE_FILTERING, WHILE_LOOKING, without_host
from tui.screen.panes.cache import CachePane
from tui.screen.panes.health import HealthPane
from tui.screen.panes.pane import Pane
from tui.screen.panes.streams import StreamsPane
from tui.screen.panes.tools import ToolsPane
from tui.screen.panes.traces import TracesPane
from tui.screen.styled_line import Line
from tui.screen.trace_list.column_memory import ColumnMemory
from tui.screen.trace_list.source import ListSource
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.filter_input import FilterInput
from tui.screen.widgets.key_bar import KeyBar
from tui.screen.widgets.line_table import LineTable
from tui.screen.widgets.text_tail import TextTail
from tui.screen.widgets.top_bar import TopBar
from tui.screen.widgets.vital_signs import VitalSigns

if TYPE_CHECKING:
    from tui.screen.navigation import NavigatingApp

LEAST_WIDTH, LEAST_HEIGHT = 44, 12
_OF_A_REQUEST = {"why", "diff", "mark", "open_trace"}  # where the selected row is of one
_OF_THE_HOST = {"why", "diff", "open_trace", "context"}  # it is asked for what they show
_OF_A_ROW = {"filter", "context", *_OF_A_REQUEST, *LEADS}  # where a pane has a list


class PaneSwitcher(Ground, ContentSwitcher):
    """Shows one of the panes."""


class MainScreen(WithoutRemoved, Ground, SelectionOwner, Screen[None]):
    """The top bar, the current pane, the filter while it is open, and the key bar."""

    BINDINGS = bindings("main")
    # Textual draws a screen anew when another widget has the focus; no part of this one shows that by itself.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        source: ListSource,
        columns: ColumnMemory | None = None,
    ) -> None:
        super().__init__()
        self._store = store
        self._clock = clock
        traces = TracesPane(source, columns)
        panes = (StreamsPane(store), CachePane(source), ToolsPane(source), HealthPane(store), traces)
        self._panes: dict[str, Pane] = {pane.place: pane for pane in panes}
        self._place: str = PANES[0][0]
        self._all_mounted = asyncio.Event()
        self._asked_early = ""  # the pane to show then
        self._vitals = VitalSigns()
        self._bars_for: tuple[VitalSigns, str, str, str, list[Command], dict[str, str]] | None = None

    def compose(self) -> ComposeResult:
        yield TopBar()
        with PaneSwitcher(initial=PANES[0][0]):
            yield self.current
        yield FilterInput()
        yield KeyBar()
        yield Canvas(too_small, id="too-small")

    def on_mount(self) -> None:
        self._focus_pane()

    async def mount_hidden(self) -> None:
        """Mount the panes that the first frame does not show, and show the one that was asked for by then."""
        hidden = [pane for pane in self._panes.values() if pane is not self.current]
        for pane in hidden:
            pane.display = False
        switcher = next(iter(self.query(PaneSwitcher)), None)
        if switcher is None or not switcher.is_attached:  # the screen was ended in its first moment
            return
        await switcher.mount(*hidden)
        self._all_mounted.set()
        place, self._asked_early = self._asked_early, ""
        if place:
            self.action_pane(place)

    @property
    def complete(self) -> bool:
        """Whether all panes are mounted."""
        return self._all_mounted.is_set()

    @property
    def awaits_pane(self) -> bool:
        """Whether a pane was asked for that is not mounted yet."""
        return bool(self._asked_early)

    async def until_complete(self) -> None:
        """Wait for all panes, before one is asked for more than to be shown."""
        await self._all_mounted.wait()

    @property
    def current(self) -> Pane:
        """The visible pane."""
        return self._panes[self._place]

    def pane(self, place: str) -> Pane:
        """One of the panes."""
        return self._panes[place]

    @property
    def traces(self) -> TracesPane:
        return cast("TracesPane", self._panes["traces"])

    @property
    def control_center(self) -> NavigatingApp:
        """The app, which opens screens and keeps the mark."""
        return cast("NavigatingApp", self.app)

    @property
    def marked(self) -> str:
        """The request that others are compared with; empty: none is marked."""
        return self.control_center.marked

    def show(self, snapshot: Snapshot, vitals: VitalSigns | None = None) -> None:
        """Draw `snapshot` in the visible pane, and new `vitals` in the bars."""
        self._vitals = vitals or self._vitals
        now = snapshot.as_of(self._clock())
        pane = self.current
        if not (
            self.is_mounted and pane.is_mounted and pane.is_attached
        ):  # before or after its time on the screen
            return
        pane.show(snapshot, now)
        pane.mark(self.marked)
        self._keep_bars()

    def row_selected(self, table: LineTable[Any]) -> None:
        self._keep_bars()

    def _keep_bars(self) -> None:
        """Draw the bars again where they say something else."""
        pane = self.current
        ways = self.control_center.ways_back
        bars_for = (self._vitals, pane.place, pane.request, self.marked, ways, pane.words)
        before = self._bars_for
        if before is None or bars_for[0] is not before[0] or bars_for[1:] != before[1:]:
            self._bars_for = bars_for
            self._draw_bars()

    def _draw_bars(self) -> None:
        snapshot = self._store.snapshot()
        self.query_one(TopBar).show(snapshot, self._vitals, self.current.place)
        self.query_one(KeyBar).show(self._footer(self.current), snapshot)

    def _footer(self, pane: Pane) -> Sequence[Command]:
        if self.query_one(FilterInput).has_class("open"):
            return WHILE_LOOKING if pane.searches else WHILE_FILTERING
        shown = footer(commands("main", pane.place))
        left_out = pane.unavailable | (_OF_A_ROW if pane.main_table is None else set())
        words, first = pane.words | ({"filter": "search"} if pane.searches else {}), ""
        if not (pane.request or pane.session):
            left_out |= LEADS
        if not pane.ended_request:
            left_out |= _OF_A_REQUEST
        if pane.snapshot.link.gone:
            left_out |= _OF_THE_HOST
        if cannot_restart(pane.snapshot):
            left_out.add("models")
        if pane.snapshot.link.gone or cannot_change(pane.snapshot):
            left_out.add("settings")
        if pane.place == "streams" and not pane.snapshot.requests and not pane.snapshot.link.recorded:
            words["context"], first = "copy the command", "context"  # as the empty list says
        elif not pane.session:
            left_out.add("context")
        if self.marked:
            action, word = ("mark", "unmark") if self.marked == pane.request else ("diff", "diff with ●")
            words[action], first = word, action
        offered = [
            one for one in shown if one.action not in left_out and not without_host(self.app, one.action)
        ]
        if pane.has_class(ZOOMED):  # the way back comes first
            words["zoom"], first = "all parts", "zoom"
        offered.sort(key=lambda one: one.action != first)
        offered[:0] = self.control_center.ways_back
        return [replace(one, short=words.get(one.action, one.short)) for one in offered]

    def command_list(self) -> list[Command]:
        """The commands of this screen and pane, for the palette."""
        found = [*self.control_center.ways_back, *commands(self.current.place, "main")]
        return [one for one in found if not without_host(self.app, one.action)]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not without_host(self.app, action)

    async def run_command(self, command: Command) -> None:
        """Run `command` in its pane or on the screen."""
        place = self if command.place == "main" else self._panes[command.place]
        await self.app.run_action(command.action, place)

    # -- commands -----------------------------------------------------------------------------------------

    async def action_run(self, title: str) -> None:
        """Run the command with this title: a click in the key bar."""
        filtering = (
            (*WHILE_FILTERING, *WHILE_LOOKING) if self.query_one(FilterInput).has_class("open") else ()
        )
        for command in (*filtering, *self.command_list()):
            if command.title == title:
                await self.run_command(command)
                return

    def action_pane(self, place: str) -> None:
        """Show one pane."""
        if not self.complete:
            self._asked_early = place
            return
        self.control_center.forget_way()
        self._place = place
        self.query_one(FilterInput).remove_class("open")
        switcher = self.query_one(PaneSwitcher)
        # Before it is visible: else its old content would be painted first, under the old tab.
        self.current.fit(switcher.size)
        self.show(self._store.snapshot())
        switcher.current = place
        self._focus_pane()

    def action_next_pane(self, step: int) -> None:
        """Show the next or previous pane."""
        places: list[str] = [place for place, _ in PANES]
        place = self._asked_early or self.current.place
        self.action_pane(places[(places.index(place) + step) % len(places)])

    def action_filter(self) -> None:
        """Open the filter of the current list."""
        if self.current.main_table is not None:
            known = known_values(self._store.snapshot())
            self.query_one(FilterInput).open(self.current.filter, known, plain=self.current.searches)
            self._draw_bars()
        else:
            self.app.notify("There is no list to filter here.", timeout=2, markup=False)

    def action_filter_key(self, which: str, *arguments: int) -> None:
        """Complete, keep or clear the filter: clicks in its line and in the key bar."""
        field = self.query_one(FilterInput)
        act = {"complete": field.action_complete, "keep": field.action_keep, "clear": field.action_clear}
        if field.has_class("open"):
            act[which](*arguments)

    def action_newest(self, part: str = "") -> None:
        """To what is newest in a part of the pane, which follows again: a click on the note above it."""
        for found in self.current.query(f"#{part}") if part else (self.current.main_table,):
            if isinstance(found, LineTable | TextTail):
                found.action_newest()

    def action_zoom(self) -> None:
        """Show only the part that has the focus, or all again."""
        toggle_zoom(self.current, self.focused)
        self._draw_bars()

    def action_turn_parts(self) -> None:
        """Put the parts of the pane beside or below each other."""
        self.current.turn()

    def action_help(self) -> None:
        """Explain the current pane."""
        from tui.screen.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.current.place))

    def action_palette(self) -> None:
        """Find a command by its name."""
        self.app.action_command_palette()

    def action_models(self) -> None:
        """Open the list of models."""
        self.control_center.open_models()

    def action_settings(self) -> None:
        """Open the settings of the running host."""
        self.control_center.open_settings()

    def action_colours(self) -> None:
        """Choose a theme."""
        self.app.search_themes()

    async def action_leave(self) -> None:
        """Quit."""
        await self.app.run_action("leave", self.app)

    def on_filter_input_changed(self, event: FilterInput.Changed) -> None:
        self.current.set_filter(event.query, done=event.done)
        if event.done:
            self._focus_pane()
            self._draw_bars()

    def action_open_trace(self) -> None:
        """Open the trace of the selected row's request."""
        if request := self.current.ended_request:
            self.post_message(TracesPane.Opened(request))
        else:
            self._say_none("request")

    def action_why(self) -> None:
        """Explain the selected row's request."""
        if request := self._ended_request():
            self.post_message(TracesPane.Explained(request))

    def action_diff(self) -> None:
        """Compare the selected row's request with the marked one, else the one before it in its session."""
        if request := self._ended_request():
            self.post_message(TracesPane.Compared(request))

    def action_mark(self) -> None:
        """Mark the selected row's request, in place of the one that is marked, or take its mark off."""
        if request := self._ended_request():
            self.control_center.marked = "" if self.marked == request else request
            self.show(self._store.snapshot())
            if self.marked:
                self.current.to_marked(request)

    async def action_context(self) -> None:
        """Show what fills the context window of the selected row's session."""
        if session := self.current.session:
            running = [one.active for one in self._store.snapshot().requests if one.session == session]
            if running and all(running):
                self.app.notify("Its first request is not at its end yet.", timeout=2, markup=False)
                return
            from tui.screen.screens.context import ContextScreen

            self.control_center.open(ContextScreen(session))
        elif self.current.request:
            self.app.notify("Its client told no session.", timeout=2, markup=False)
        elif self.current.place == "streams":
            await self.app.run_action("copy_command", self.current)
        else:
            self._say_none("session")

    def _ended_request(self) -> str:
        """The selected row's request; empty, with a word, where it has no trace yet."""
        request = self.current.ended_request
        if any(record.id == request for record in self._store.snapshot().active):
            self.app.notify("It is not at its end yet.", timeout=2, markup=False)
            return ""
        if not request:
            self._say_none("request")
        return request

    def _say_none(self, what: str) -> None:
        self.app.notify(f"No {what} is selected.", timeout=2, markup=False)

    def _focus_pane(self) -> None:
        if self.current.home is not None:
            self.set_focus(self.current.home)  # at once: the next key may be typed already

    def on_resize(self, event: events.Resize) -> None:
        small = event.size.width < LEAST_WIDTH or event.size.height < LEAST_HEIGHT
        self.set_class(small, "too-small")


def too_small(width: int, height: int) -> list[Line]:
    """The text for a terminal that is too small."""
    return [
        [("anyclaude", "accent bold")],
        [(f"needs {LEAST_WIDTH} × {LEAST_HEIGHT}", "")],
        [(f"this is {width} × {height}", "muted")],
    ]
