"""The three lines at the top: the panes, the model and the engine's state; the vital signs; a rule."""

from __future__ import annotations

from tui.client.records import Snapshot
from tui.client.wire_text import shorten_middle
from tui.screen.engine_label import engine_label
from tui.screen.keymap import key_of
from tui.screen.keys.command import PANES
from tui.screen.styled_line import Line, line_width, spread
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.vital_signs import VitalSigns, vital_line

NAME = "anyclaude"


class TopBar(Canvas):
    """Pane names with their keys, the current one underlined; model and engine state on the right."""

    DEFAULT_CSS = "TopBar { height: 3; }"

    def __init__(self) -> None:
        super().__init__(self._draw_bar)
        self._snapshot, self._vitals = Snapshot(), VitalSigns()
        self._pane = PANES[0][0]

    def show(self, snapshot: Snapshot, vitals: VitalSigns, pane: str) -> None:
        """Show `snapshot`'s engine and `vitals`, with `pane` as the current one."""
        self._snapshot, self._vitals, self._pane = snapshot, vitals, pane  # type: ignore[assignment]
        self.paint()

    def _draw_bar(self, width: int, height: int) -> list[Line]:
        titles: Line = [(" ", "")]
        if width >= 100:
            titles += [(NAME, "accent bold"), ("   ", "")]
        start = end = 0
        for pane, title in PANES:
            here = pane == self._pane
            click = f"@screen.pane('{pane}')"
            start = line_width(titles) if here else start
            titles += [
                (key_of(f"main.pane:{pane}"), f"accent {click}" if here else f"dim {click}"),
                (" ", click),
            ]
            if here or width >= 76:  # the engine's state comes before the names of other panes
                titles.append((title, f"bold {click}" if here else f"muted {click}"))
            end = line_width(titles) if here else end
            titles.append(("   " if width >= 90 else "  ", ""))
        status = self._status(max(0, width - line_width(titles) - 2))
        rule: Line = [("─" * start, "rule"), ("━" * (end - start), "accent"), ("─" * (width - end), "rule")]
        return [spread(titles, status, width), vital_line(self._vitals, width), rule]

    def _status(self, room: int) -> Line:
        word, style = engine_label(self._snapshot)
        model = self._snapshot.engine.model if self._snapshot.engine else ""
        model = model or (self._snapshot.host.model if self._snapshot.host else "")
        model = model.rstrip("/").rsplit("/", 1)[-1]
        space = room - len(word) - 5
        name: Line = [(shorten_middle(model, min(40, space)), "muted"), ("  ", "")] if space >= 12 else []
        return [*name, ("● ", style), (word, style), (" ", "")] if room >= len(word) + 3 else []
