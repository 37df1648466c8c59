"""The way that the user came from pane to pane, to go it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tui.screen.panes.pane import Pane
from tui.screen.screens.opened import OpenedScreen


@dataclass
class Stop:
    """A place that was left: a pane, and what was open over it, which is kept as it was.

    `restore` brings the panes back as they were: the one that was gone to, and the one that was left.
    `filter` is the one that the pane which was gone to has got.
    """

    pane: str
    names: tuple[str, ...]  # its crumbs: of the pane, and of each screen
    screens: tuple[OpenedScreen, ...]
    restore: tuple[Callable[[], None], ...]
    filter: str = field(default="")


def mementos(left: Pane, gone_to: Pane) -> tuple[Callable[[], None], ...]:
    """What brings both panes back; the one that was left comes last, as it gets the focus."""
    return (left.memento(),) if left is gone_to else (gone_to.memento(), left.memento())
