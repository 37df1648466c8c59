"""A stage for one widget, and a way to read what is on it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from textual.app import App, ComposeResult
from textual.widget import Widget
from textual.worker import WorkerCancelled

from tui.screen.theme_styles import ThemeStyles
from tui.screen.themes import DAY, NIGHT
from tui.screen.widgets.strip_view import StripView

LOADING = (
    "traces",
    "trace",
    "histogram",
    "detail",
    "calls",
    "calls in full",
    "cache",
    "models",
    "settings",
    "jump",
)  # groups of workers


class Stage(App[None]):
    """Shows `widgets` below each other in our theme."""

    def __init__(self, *widgets: Widget) -> None:
        super().__init__()
        self._widgets = widgets
        self.register_theme(NIGHT)
        self.register_theme(DAY)
        self.theme = NIGHT.name
        self.theme_styles = ThemeStyles(self.theme_variables)

    def compose(self) -> ComposeResult:
        yield from self._widgets


def drawn(view: StripView) -> list[str]:
    """The lines of a widget as it would draw them now, without blanks at their ends."""
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


def painted(view: StripView) -> list[str]:
    """The lines of a widget as it drew them last: what is on the screen, be it true or not any more."""
    return [strip.text.rstrip() for _, strip in sorted(view._on_screen.items())]


def lines_of(views: Iterable[StripView]) -> str:
    """All lines of several widgets."""
    return "\n".join(line for view in views for line in drawn(view))


async def loaded(app: App[None]) -> None:
    """Until nothing is being asked of the host; a question to the user may stay open."""
    for worker in [one for one in app.workers if one.group in LOADING]:
        with suppress(WorkerCancelled):  # by one for another row
            await worker.wait()
