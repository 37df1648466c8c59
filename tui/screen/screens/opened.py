"""The base of the screens that open over the panes: crumbs above, keys below, and a way to everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widget import Widget

from tui.client.records import Snapshot
from tui.client.wire_text import shorten
from tui.screen.choices.layouts import follow_focus, toggle_zoom
from tui.screen.frames.selection_owner import SelectionOwner
from tui.screen.keymap import commands_on, footer
from tui.screen.keys.command import Command, Place
from tui.screen.keys.table import LEADS, without_host
from tui.screen.screens.closable import Closable
from tui.screen.styled_line import Line, line_width, spread
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from tui.screen.navigation import NavigatingApp

_LONGEST_CRUMB = 32


class OpenedScreen(Closable, SelectionOwner, Screen[None]):
    """A screen over the panes; `place` selects its commands. A subclass composes what is between the bars.

    `subject` is what it shows: to open one that is open already leads back to it (`NavigatingApp.open`).
    """

    AUTO_FOCUS = ""  # which would scroll to what has the focus, away from what stands above it
    place: ClassVar[Place]
    _signs = ""

    @property
    def subject(self) -> str:
        return ""

    def compose(self) -> ComposeResult:
        yield Canvas(self._crumbs, id="crumbs")
        with VerticalScroll(id="opened", can_focus=False):
            yield from self.content()
        yield KeyBar()

    def content(self) -> ComposeResult:
        """The widgets between the crumbs and the keys: where there is no room for all, they scroll."""
        raise NotImplementedError

    @property
    def request(self) -> str:
        """The id of the request that it is about; empty where there is none."""
        return ""

    @property
    def session(self) -> str:
        """The session that it is about, as far as that is known."""
        return ""

    @property
    def crumb(self) -> str:
        """Its name in the crumbs: a word or two, without what came from the wire."""
        return self.place.capitalize()

    def show(self, snapshot: Snapshot, signs: str) -> None:
        """Show the state of the connection, and `signs`: the vital signs in short."""
        if self.is_mounted and self.is_attached:
            self._signs = signs
            self.query_one(KeyBar).show(footer(self.command_list()), snapshot)
            self.query_one("#crumbs", Canvas).paint()

    def on_screen_resume(self) -> None:
        self.control_center.draw_state()  # the next frame may be half a second away

    def _crumbs(self, width: int, height: int) -> list[Line]:
        names = self.control_center.crumbs
        right: Line = [(self._signs + " ", "muted")] if self._signs else []
        line: Line = [(" ", "")]
        for level, name in enumerate(names):
            here = level == len(names) - 1
            style = "accent bold" if here else f"muted @app.to_crumb({level})"
            line += [(shorten(name, _LONGEST_CRUMB), style), ("" if here else " › ", "dim")]
        if line_width(line) + line_width(right) + 2 > width:
            right = []
        return [spread(line, right, width)]

    @property
    def control_center(self) -> NavigatingApp:
        """The app, which opens screens and leads back to them."""
        return cast("NavigatingApp", self.app)

    # -- commands -----------------------------------------------------------------------------------------

    def command_list(self) -> list[Command]:
        """The commands of this screen, for the key bar and the palette."""
        found = [one for one in commands_on(self.place) if not without_host(self.app, one.action)]
        leads = bool(self.request or self.session)
        return [one for one in found if leads or one.action not in LEADS]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not without_host(self.app, action)

    async def run_command(self, command: Command) -> None:
        """Run `command`."""
        await self.app.run_action(command.action, self)

    async def action_run(self, title: str) -> None:
        """Run the command with this title: a click in the key bar."""
        for command in self.command_list():
            if command.title == title:
                await self.run_command(command)
                return

    def action_back(self) -> None:
        """Back to where it was opened from."""
        self.dismiss()

    def action_pane(self, place: str) -> None:
        """To another pane."""
        self.control_center.show_pane(place)

    def action_filter(self) -> None:
        """To the filter of the list below."""
        self.control_center.show_pane(then="filter")

    def action_palette(self) -> None:
        """Find a command by its name."""
        self.app.action_command_palette()

    def action_colours(self) -> None:
        """Choose a theme."""
        self.app.search_themes()

    def action_zoom(self) -> None:
        """Show only the part that has the focus, or all again."""
        if not toggle_zoom(self._parts_of, self.focused):
            self.app.notify("It has one part alone.", timeout=2, markup=False)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        follow_focus(self._parts_of, event.widget)

    @property
    def _parts_of(self) -> Widget:
        """What holds the parts of which one can be in front; of a box the box."""
        return next(iter(self.query("#opened")), self)

    def action_help(self) -> None:
        """Explain this screen."""

        from tui.screen.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.place))

    async def action_leave(self) -> None:
        """Quit."""
        await self.app.run_action("leave", self.app)
