"""Every pane, screen and box of the control center, opened one after the other on a made-up morning."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen

from tests.proxy.trace_making import trace_of
from tests.tui.held_samples import holdings
from tests.tui.stage import loaded
from tests.tui.trace_samples import SampleHost, summaries
from tests.tui.traffic import Morning
from tui.client.records import Link
from tui.screen.app import ControlCenter
from tui.screen.choices.configured import DEFAULT_CHOICES, ScreenChoices
from tui.screen.host_actions.bundling import BundleScreen
from tui.screen.host_actions.cache_questions import flush_choices, pinned_stays
from tui.screen.keys.command import PANES
from tui.screen.leads.go_box import GoBox
from tui.screen.leads.subject import Subject
from tui.screen.leads.targets import targets_of
from tui.screen.reading.read_screen import ReadScreen
from tui.screen.reading.readable import Readable
from tui.screen.screens.choose import ChooseScreen
from tui.screen.screens.confirm import ConfirmScreen
from tui.screen.screens.context import ContextScreen
from tui.screen.screens.diff import DiffScreen
from tui.screen.screens.help import HelpScreen
from tui.screen.screens.live_settings import SettingsScreen
from tui.screen.screens.models import ModelsScreen
from tui.screen.screens.trace import TraceScreen
from tui.screen.screens.why import WhyScreen
from tui.screen.trace_detail.handing_on import ExportScreen
from tui.screen.trace_detail.parts import PARTS
from tui.screen.trace_detail.replay import ReplayQuestion, ReplayScreen
from tui.screen.trace_list.column_choice import ColumnScreen
from tui.screen.trace_list.columns import USUAL
from tui.screen.trace_list.go_to import GoToScreen

LONG = "A long consequence that goes on and on, as those of the cache do. " * 8
MARKDOWN = "# Retry\n\nThe loop gives up after `two` tries.\n\n```python\nretry(2)\n```\n"
Made = Callable[["Stand"], Screen[Any]]


class Stand:
    """The app with the morning in it, and what opens a screen of it."""

    def __init__(self, app: ControlCenter, pilot: Pilot[None], morning: Morning, host: SampleHost) -> None:
        self.app, self.pilot, self.morning, self.host = app, pilot, morning, host

    @property
    def trace(self) -> str:
        """A request that has ended."""
        return next(row.id for row in self.host.rows if row.session)

    @property
    def session(self) -> str:
        return next(row.session for row in self.host.rows if row.session)

    @property
    def text(self) -> str:
        """All of the screen, a line each."""
        strips = self.app.screen._compositor.render_strips(self.app.size)
        return "\n".join(strip.text.rstrip() for strip in strips)

    async def settle(self) -> None:
        """Until nothing is loading and everything is drawn."""
        await self.pilot.pause()
        await loaded(self.app)
        await self.pilot.pause()
        self.app.draw_state()
        await self.pilot.pause()

    async def show_pane(self, place: str) -> None:
        """A pane, and nothing over it."""
        await self.back()
        self.app.main.action_pane(place)
        await self.settle()

    async def back(self) -> None:
        """Close whatever is over the panes."""
        while len(self.app.screen_stack) > 1:
            await self.app.screen.dismiss()

    async def open(self, name: str) -> None:
        """One of `OPENED` or `BOXES`, over the panes."""
        await self.back()
        await self.app.push_screen({**OPENED, **BOXES}[name](self))
        await self.settle()


def _trace(part: int) -> Made:
    return lambda it: TraceScreen(it.trace, it.app.load_trace, lambda id, step: None, part)


OPENED: dict[str, Made] = {
    "why": lambda it: WhyScreen(it.trace, it.app.load_why),
    "diff": lambda it: DiffScreen(it.trace, "", it.app.load_diff),
    "context": lambda it: ContextScreen(it.session),
    "models": lambda it: ModelsScreen(it.host.models),
    "settings": lambda it: SettingsScreen(it.host.settings),
    "replay": lambda it: ReplayScreen(trace_of(1), "opus"),
    "read": lambda it: ReadScreen(Readable("answer", MARKDOWN, "markdown"), "answer"),
    **{f"trace, {part.name}": _trace(number) for number, part in enumerate(PARTS)},
}
BOXES: dict[str, Made] = {
    "confirm": lambda it: ConfirmScreen("Restart the engine after its requests?", LONG, "restart"),
    "flush": lambda it: ChooseScreen(
        "Flush the prefix cache?",
        flush_choices(holdings(it.morning.now), it.app.store.snapshot()),
        pinned_stays(holdings(it.morning.now)),
    ),
    "bundle": lambda it: BundleScreen(["req_1"], connected=True),
    "export": lambda it: ExportScreen(Path("/home/ada/a folder with a long name/exports")),
    "replay question": lambda it: ReplayQuestion(
        trace_of(1),
        [f"model-{number}" for number in range(9)],
        2,
        "anyclaude-tui " * 9,
        loads=True,
        payee="openrouter",
    ),
    "columns": lambda it: ColumnScreen(USUAL, lambda titles: None),
    "go on": lambda it: GoBox(
        "a request",
        targets_of(Subject(it.trace, it.session, it.trace), it.app.store.snapshot(), "streams"),
    ),
    "go to": lambda it: GoToScreen(lambda: it.morning.now),
    **{f"help of {place}": (lambda it, place=place: HelpScreen(place)) for place, _ in PANES},
    **{
        f"help of {place}": (lambda it, place=place: HelpScreen(place))
        for place in ("why", "diff", "context", "models", "settings", "replay", "read", "trace")
    },
}


@asynccontextmanager
async def stand(
    size: tuple[int, int] = (120, 40),
    *,
    choices: ScreenChoices = DEFAULT_CHOICES,
    host: Callable[[list[Any]], SampleHost] = SampleHost,
) -> AsyncIterator[Stand]:
    """The app on the morning, its host answering as `host` does."""
    morning = Morning().play()
    app = ControlCenter(clock=lambda: morning.now, choices=choices)
    app.client = made = host(summaries(morning))
    for arrival in morning.arrivals():
        app.inbox.put(arrival)
    app.inbox.put(Link("live"))
    async with app.run_test(size=size) as pilot:
        it = Stand(app, pilot, morning, made)
        app.frame()
        await pilot.pause()
        yield it
