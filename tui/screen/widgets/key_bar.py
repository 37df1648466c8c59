"""The last line: the keys of this place, and the state of the connection."""

from __future__ import annotations

from collections.abc import Sequence

from tui.client.figures import plural
from tui.client.records import Snapshot
from tui.client.wire_text import shorten
from tui.screen.keys.command import Command
from tui.screen.styled_line import Line, line_width, spread
from tui.screen.widgets.canvas import Canvas


class KeyBar(Canvas):
    """Keys by importance, as many as fit; a click runs the command."""

    DEFAULT_CSS = "KeyBar { height: 1; }"

    def __init__(self, namespace: str = "screen") -> None:
        super().__init__(self._draw_bar)
        self._namespace = namespace
        self._commands: Sequence[Command] = ()
        self._snapshot = Snapshot()

    def show(self, commands: Sequence[Command], snapshot: Snapshot) -> None:
        """Show `commands`, and the link of `snapshot`."""
        self._commands, self._snapshot = commands, snapshot
        self.paint()

    def _draw_bar(self, width: int, height: int) -> list[Line]:
        status = link_words(self._snapshot, max(20, width // 2))
        room = width - line_width(status) - 2
        line: Line = [(" ", "")]
        for command in self._commands:
            click = command.clicked(self._namespace)
            hint: Line = [
                (command.bar or command.key, f"accent {click}"),
                (f" {command.short}", f"muted {click}"),
            ]
            if line_width(line) + line_width(hint) + 2 > room:
                break
            line += [*hint, ("   " if width >= 100 else "  ", "")]
        return [spread(line, status, width)]


def link_words(snapshot: Snapshot, room: int) -> Line:
    """The state of the connection, with the numbers of lost and unreadable events."""
    link = snapshot.link
    words: Line = []
    if snapshot.lost:
        words += [(f"lost {plural(snapshot.lost, 'event')}  ", "warn")]
    if snapshot.damaged:
        words += [(f"{snapshot.damaged} unreadable  ", "warn")]
    match link.state:
        case "live" if link.recorded:
            words += [("▷ ", "accent"), ("recording ", "muted")]
        case "live":
            words += [("● ", "ok"), ("live ", "muted")]
        case "reconnecting":
            words += [("◌ ", "warn"), (shorten(f"reconnecting: {link.detail}", room) + " ", "warn")]
        case "ended":
            words += [("✗ ", "bad"), (shorten(link.detail or "the host ended", room) + " ", "bad")]
        case state:
            words += [("◌ ", "muted"), (f"{state} … ", "muted")]
    return words
