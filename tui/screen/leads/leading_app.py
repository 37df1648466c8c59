"""The part of the control center that goes from a request or a session to all there is of it, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import work
from textual.binding import Binding, BindingType

from tui.client.wire_text import line_text
from tui.screen.engine_label import uses_other_backend
from tui.screen.host_actions.questions import cannot_change, cannot_load
from tui.screen.host_actions.wishes import ModelWanted, SettingsWanted
from tui.screen.keys.command import Command
from tui.screen.leads.subject import Subject, entry_of, session_filter
from tui.screen.leads.targets import NO_REQUEST, NO_SESSION, targets_of
from tui.screen.leads.way import Stop, mementos
from tui.screen.navigation import NavigatingApp
from tui.screen.panes.traces import TracesPane
from tui.screen.screens.confirm import ConfirmScreen
from tui.screen.screens.main import MainScreen
from tui.screen.screens.opened import OpenedScreen
from tui.screen.trace_list.list_query import ListQuery

if TYPE_CHECKING:
    from textual.screen import Screen

    from proxy.changes.change_facts import LiveSetting, LocalModel, LocalModelList
    from proxy.traces.schema import TracePage
    from tui.screen.panes.cache import CachePane
    from tui.screen.panes.streams import StreamsPane
    from tui.screen.panes.tools import ToolsPane

MOST_STOPS = 8
_ABOUT = {"trace": TracesPane.Opened, "why": TracesPane.Explained, "diff": TracesPane.Compared}


class LeadingApp(NavigatingApp):
    """Goes to another pane with a place to come back to: esc and the crumbs lead there."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave_target", priority=True, show=False)]

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._way: list[Stop] = []
        self._moving = asyncio.Lock()  # one after the other: a way that breaks off half-way leads nowhere

    # -- what the cursor is at ----------------------------------------------------------------------------

    async def _subject(self) -> Subject:
        """What the cursor is at; what the screen does not know of it, the index is asked for."""
        screen, pane = self.screen, self.main.current
        if isinstance(screen, OpenedScreen):
            request, session, ended = screen.request, screen.session, screen.request
        else:
            request, session, ended = pane.request, pane.session, pane.ended_request
        found = Subject(request, line_text(session), ended)
        if request and not session:
            record = found.record(self.store.snapshot())
            found = Subject(request, record.session if record else await self._session_of(request), ended)
        return found

    async def _session_of(self, request: str) -> str:
        try:
            return line_text((await self._host_api().brief_trace(request)).session)
        except Exception:  # without a trace or a host nothing tells
            return ""

    @property
    def _place(self) -> str:
        """What the pane or the screen in front shows, as a target is called."""
        screen = self.screen
        if isinstance(screen, OpenedScreen):
            return screen.place
        return {"streams": "session"}.get(self.main.current.place, "")

    # -- going --------------------------------------------------------------------------------------------

    @work(name="jump", group="jump", exclusive=True, exit_on_error=False)
    async def action_to_session(self) -> None:
        """To the session of what the cursor is at."""
        await self._to("session", await self._subject())

    @work(name="go on", group="go on", exclusive=True, exit_on_error=False)
    async def action_go_on(self) -> None:
        """Ask where to go on to from what the cursor is at."""
        from tui.screen.leads.go_box import GoBox

        subject, snapshot = await self._subject(), self.store.snapshot()
        if not (subject.request or subject.session):
            self._say("Nothing here tells of a request or a session.")
            return
        targets = targets_of(subject, snapshot, self._place)
        if name := await self.push_screen_wait(GoBox(subject.words(snapshot), targets)):
            await self._to(name, subject)

    def go_to(self, name: str, subject: Subject) -> None:
        """Go to what `name` (`tui.screen.leads.targets`) means of a subject."""
        self.run_worker(self._to(name, subject), name="jump", group="jump", exit_on_error=False)

    def go_filtered(self, place: str, text: str) -> None:
        """Show a pane with a filter; esc leads back."""
        self.run_worker(self._filtered(place, text), name="jump", group="jump", exit_on_error=False)

    async def _filtered(self, place: str, text: str) -> None:
        await self._whole(self._move_filtered(place, text))

    async def _move_filtered(self, place: str, text: str) -> None:
        if place == "tools":
            await self._go(place, lambda pane: cast("ToolsPane", pane).reveal(text, ""))
        else:
            await self._go(place, lambda pane: pane.set_filter(text))

    async def _to(self, name: str, subject: Subject) -> None:
        await self._whole(self._move_to(name, subject))

    async def _whole(self, move: Coroutine[Any, Any, None]) -> None:
        """Move after the move that is under way, and to the end, also where another key ends who waits."""

        async def alone() -> None:
            async with self._moving:
                await move

        await asyncio.shield(asyncio.create_task(alone()))

    async def _move_to(self, name: str, subject: Subject) -> None:
        if name in _ABOUT:
            self.post_message(_ABOUT[name](subject.ended or subject.request))
        elif name == "entry":
            await self._to_entry(subject)
        elif not subject.session:
            self._say(f"{NO_SESSION if subject.request else NO_REQUEST}.".capitalize())
        elif name == "context":
            from tui.screen.screens.context import ContextScreen

            self.open(ContextScreen(subject.session))
        elif name == "session":
            await self._to_session(subject)
        else:
            await self._to_list(name, subject)

    async def _to_session(self, subject: Subject) -> None:
        found = subject.conversation(self.store.snapshot())
        if found is None:
            self._say("Streams has this session no more: these are its requests, by their traces.")
            await self._to_list("requests", subject)
            return
        request = subject.request if any(one.id == subject.request for one in found.requests) else ""
        if self.screen is self.main and self.main.current.place == "streams":
            cast("StreamsPane", self.main.current).reveal(found.id)
            return
        await self._go("streams", lambda pane: cast("StreamsPane", pane).reveal(found.id, request))
        if subject.request and not request:
            self._say("Streams has this request no more, but its session.")

    async def _to_list(self, name: str, subject: Subject) -> None:
        text = session_filter(subject.session, (one.id for one in self.store.snapshot().sessions))
        if name == "calls":
            await self._go("tools", lambda pane: cast("ToolsPane", pane).reveal(text, subject.request))
        else:
            query = ListQuery(text)
            await self._go("traces", lambda pane: cast("TracesPane", pane).ask(query, subject.ended))

    async def _to_entry(self, subject: Subject) -> None:
        if uses_other_backend(self.store.snapshot()):
            held, row = None, subject.request
        else:
            try:
                held = await self.load_cache()
            except Exception as error:
                self._say(f"What the cache holds cannot be listed: {line_text(str(error))}")
                return
            row = entry_of(held.entries, subject)
        if row:
            await self._go("cache", lambda pane: cast("CachePane", pane).reveal(held, row))
        else:
            self._say("The cache holds nothing of it now: it was evicted, dropped, or never stored.")

    async def _go(self, place: str, arrive: Callable[[Any], None]) -> None:
        """Show a pane; what is open over the panes is put away as it is, to come back to it."""
        main, screens = self.main, tuple(self._opened())
        await main.until_complete()
        way, self._way = self._way, []
        left, gone_to = main.current, main.pane(place)
        stop = Stop(left.place, tuple(self.crumbs), screens, mementos(left, gone_to))
        for screen in screens:
            self.install_screen(screen, f"put away {id(screen)}")
        await self._close_down_to(main)
        main.action_pane(place)
        arrive(gone_to)
        stop.filter = gone_to.filter
        self._way = [*way, stop]
        while len(self._way) > MOST_STOPS:
            await self._drop(self._way.pop(0).screens)
        self.draw_state()

    async def _close_down_to(self, wanted: Screen[Any]) -> None:
        while self.screen is not wanted and len(self.screen_stack) > 1:
            await self.screen.dismiss()

    # -- what the palette asks of the host ----------------------------------------------------------------

    async def find_traces(self, query: str, most: int) -> TracePage:
        """The newest traces that fit a filter. Raises an error for people when they cannot be had."""
        return await self._host_api().traces(most, 0, query)

    async def find_models(self) -> LocalModelList:
        """The models of the host's machine. Raises an error for people when they cannot be had."""
        return await self._host_api().models()

    async def find_settings(self) -> list[LiveSetting]:
        """What the running host can change. Raises an error for people when that cannot be had."""
        return await self._host_api().settings()

    @work(name="ask model", group="ask", exit_on_error=False)
    async def ask_model(self, model: LocalModel) -> None:
        """Load a model, once the user agrees to what follows."""
        from tui.screen.host_actions.changes import model_consequence

        if refusal := cannot_load(self.store.snapshot()):
            self.notify_user(refusal, "warning")
            return
        follows = " ".join(text for text, _ in model_consequence(model, self.store.snapshot()))
        name = line_text(model.name)
        if await self.push_screen_wait(ConfirmScreen(f"Load {name}?", follows, "load it")):
            self.post_message(ModelWanted(model.path or model.name))

    @work(name="ask setting", group="ask", exit_on_error=False)
    async def ask_setting(self, setting: LiveSetting, text: str) -> None:
        """Change a setting, once the user agrees to what follows, if that is more than the change."""
        from tui.screen.host_actions.changes import setting_consequence
        from tui.screen.screens.live_settings import read_value

        if refusal := cannot_change(self.store.snapshot()):
            self.notify_user(refusal, "warning")
            return
        follows = setting_consequence(setting, self.store.snapshot())
        question = ConfirmScreen(f"Set {line_text(setting.key)} to {line_text(text, 60)}?", follows, "set it")
        if setting.effect == "at once" or await self.push_screen_wait(question):
            self.post_message(SettingsWanted({setting.key: read_value(text)}))

    def _say(self, text: str) -> None:
        self.notify(text, timeout=4, markup=False)

    # -- going back ---------------------------------------------------------------------------------------

    @property
    def ways_back(self) -> list[Command]:
        if not self._way:
            return []
        name = self._way[-1].names[-1]
        return [Command(f"Back to {name}", "app.go_back", "escape", short=f"back to {name}", shown="esc")]

    @property
    def crumbs(self) -> list[str]:
        return [*(name for stop in self._way for name in stop.names), *super().crumbs]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In the pane that was gone to, esc first leaves what was opened or filtered there."""
        if action != "leave_target":
            return super().check_action(action, parameters)
        if not self._way or not isinstance(self.screen, MainScreen):
            return False
        pane = self.main.current
        arrived = {pane.main_table, pane.home, getattr(pane, "turns", None), None}
        return self.screen.focused in arrived and pane.filter in ("", self._way[-1].filter)

    def action_leave_target(self) -> None:
        """Go back, by a key that means other things elsewhere."""
        self.action_go_back()

    def action_go_back(self) -> None:
        """Back to where the pane was gone to from, as that was."""
        if self._way:
            self._return(len(self._way) - 1, len(self._way[-1].screens))

    def action_to_crumb(self, level: int) -> None:
        for number, stop in enumerate(self._way):
            if level < len(stop.names):
                self._return(number, level)
                return
            level -= len(stop.names)
        super().action_to_crumb(level)

    @work(name="return", group="return", exit_on_error=False)
    async def _return(self, number: int, kept: int) -> None:
        """Back to a stop, with so many of its screens."""
        await self._whole(self._move_back(number, kept))

    async def _move_back(self, number: int, kept: int) -> None:
        if number >= len(self._way):
            return  # another key was quicker
        way, self._way = self._way, []
        await self._close_down_to(self.main)
        for stop in reversed(way[number:]):
            *others, own = stop.restore
            for restore in others:
                restore()
            self.main.action_pane(stop.pane)
            own()
        for stop in way[number + 1 :]:
            await self._drop(stop.screens)
        await self._drop(way[number].screens[kept:])
        for screen in way[number].screens[:kept]:
            self.uninstall_screen(screen)
            await self.push_screen(screen)
        self._way = way[:number]
        self.draw_state()

    def forget_way(self) -> None:
        way, self._way = self._way, []
        if screens := tuple(screen for stop in way for screen in stop.screens):
            self.run_worker(self._drop(screens), name="drop", group="drop", exit_on_error=False)

    async def _drop(self, screens: tuple[OpenedScreen, ...]) -> None:
        """Remove screens that nothing leads back to."""
        for screen in screens:
            self.uninstall_screen(screen)
            await screen.remove()
