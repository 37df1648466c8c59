"""The time slider of a recording, in one line. Textual has no slider."""

from __future__ import annotations

from textual import events

from tui.client.figures import clock, seconds
from tui.client.recording.player import IncidentKind, Player
from tui.client.wire_text import line_text, shorten
from tui.screen.styled_line import Line, fit, line_width
from tui.screen.widgets.canvas import Canvas

SHAPES: dict[IncidentKind, tuple[str, str]] = {
    "failed": ("✗", "bad"),
    "restart": ("↻", "warn"),
    "missed": ("!", "prefill"),
}
_GRAVEST: tuple[IncidentKind, ...] = ("restart", "failed", "missed")  # of those in one cell, this is drawn
_LEAST = 12  # cells of the slider


class PlayBar(Canvas):
    """State, moment, slider with incidents, how far, speed; a click or a drag on the slider seeks."""

    DEFAULT_CSS = "PlayBar { height: 1; }"

    def __init__(self, player: Player) -> None:
        super().__init__(self._draw_bar)
        self._player = player
        self._slider = (0, 1)  # its first cell, and how many it has
        self._dragged = False

    def _draw_bar(self, width: int, height: int) -> list[Line]:
        line, self._slider = bar_line(self._player, width)
        return [line]

    def on_mouse_down(self, event: events.MouseDown) -> None:
        start, cells = self._slider
        if start <= event.x < start + cells:
            self._dragged = True
            self.capture_mouse()
            self._seek(event.x)
        elif event.x < start:
            self._player.toggle()
        self.paint()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragged:
            self._seek(event.x)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        self._dragged = False
        self.release_mouse()

    def _seek(self, x: int) -> None:
        start, cells = self._slider
        self._player.seek_share((x - start) / max(1, cells - 1))
        self.paint()


def bar_line(player: Player, width: int) -> tuple[Line, tuple[int, int]]:
    """The line in `width` cells, and where in it the slider is: its first cell and its length."""
    state = ("‖", "warn") if not player.playing else ("▶", "decode")
    if player.behind:
        state = ("◌", "warn")
    passed, whole = player.clock() - player.begin, player.end - player.begin
    left: Line = [(" ", ""), state, (" ", ""), (clock(player.clock()), "bold"), ("  ", "")]
    right: Line = [("  ", ""), (_minutes(passed), ""), (f" of {_minutes(whole)}", "muted")]
    right += [(f"  {player.speed:g}×", "accent" if player.speed != 1 else "muted"), (" ", "")]
    if player.about and width >= 100:
        right = [("  ", ""), (shorten(line_text(player.about), 24), "dim"), *right]
    cells = width - line_width(left) - line_width(right)
    if cells < _LEAST:  # the slider comes before the figures
        right = [(" ", "")]
        cells = max(1, width - line_width(left) - 1)
    start = line_width(left)
    return fit([*left, *slider(player, cells), *right], width), (start, cells)


def slider(player: Player, cells: int) -> Line:
    """The slider alone: what was played is a thick line, and incidents have their shapes."""
    whole = max(1e-9, player.end - player.begin)

    def cell_of(moment: float) -> int:
        return min(cells - 1, max(0, round((moment - player.begin) / whole * (cells - 1))))

    here = cell_of(player.clock())
    drawn: Line = [("━", "accent") if cell < here else ("─", "muted") for cell in range(cells)]
    for kind in reversed(_GRAVEST):
        for incident in player.incidents:
            if incident.kind == kind:
                drawn[cell_of(incident.at)] = SHAPES[kind]
    drawn[here] = ("●", "accent bold")
    return drawn


def _minutes(duration: float) -> str:
    """`0:07`, `12:34`, and from an hour on as all durations."""
    if duration >= 3600:
        return seconds(duration)
    return f"{int(duration) // 60}:{int(duration) % 60:02d}"
