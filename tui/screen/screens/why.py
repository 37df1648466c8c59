"""Why a request was slow, missed, failed or left, on top of the pane that it was asked from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tui.client.figures import day_and_clock, seconds
from tui.client.records import Snapshot
from tui.client.who import who_asks
from tui.client.why_text import phase_bars, shown_phases, why_advice, why_sentence, why_usual
from tui.client.wire_text import line_text, wrap
from tui.screen.keymap import bindings
from tui.screen.panes.request_cells import asker, session
from tui.screen.panes.traces import TracesPane
from tui.screen.screens.box import Box
from tui.screen.screens.opened import OpenedScreen
from tui.screen.styled_line import Line
from tui.screen.trace_detail.phase_looks import PHASE_LOOKS
from tui.screen.widgets.in_background import in_background

if TYPE_CHECKING:
    from proxy.traces.analysis.why_facts import Why

_LABEL = 12  # cells left of a phase's bar, without its seconds
_FRAME = 6  # lines of the box that are no text: its border and padding, and the keys
_LEAST_PHASES = 3


class WhyScreen(Box[None], OpenedScreen):
    """Explains the request `trace_id`, in a box over the screen that it was asked from."""

    place = "why"
    cells = 100
    BINDINGS = bindings("why")

    def __init__(self, trace_id: str, load: Callable[[str], Awaitable[Why]]) -> None:
        super().__init__()
        self._trace_id = trace_id
        self._load = load
        self._why: Why | None = None
        self._problem = ""

    @property
    def subject(self) -> str:
        return f"why {self._trace_id}"

    @property
    def request(self) -> str:
        return self._trace_id

    def show(self, snapshot: Snapshot, signs: str) -> None:
        """Nothing: the bars are below the box."""

    def on_mount(self) -> None:
        in_background(self, "why", self._fetch)

    def action_trace(self) -> None:
        """Open the trace."""
        self.dismiss()
        self.app.post_message(TracesPane.Opened(self._trace_id))

    def action_diff(self) -> None:
        """Compare it with the request before it."""
        self.dismiss()
        self.app.post_message(TracesPane.Compared(self._trace_id))

    async def _fetch(self) -> None:
        try:
            self._why = await self._load(self._trace_id)
        except Exception as error:
            self._problem = line_text(str(error)) or type(error).__name__
        if self.is_attached and self.app.is_running:
            self.refit()

    def action_close(self) -> None:
        """Back to where it was asked from."""
        self.action_back()

    def lines(self, width: int) -> list[Line]:
        if self._why is None:
            text, style = (self._problem, "bad") if self._problem else ("Looking …", "muted")
            return _paragraph(text, style, width)
        return why_lines(self._why, width, self.size.height * 9 // 10 - _FRAME)


def why_lines(why: Why, width: int, height: int = 40) -> list[Line]:
    """Which request it is, the sentence, what is usual, what to do, and the longest phases as bars."""
    style = {"failed": "bad", "cancelled": "warn", "slow": "warn", "missed": "warn"}.get(why.verdict, "")
    lines: list[Line] = [_whose(why), []] if why.time else []
    lines += _paragraph(why_sentence(why), f"bold {style}".strip(), width)
    if usual := why_usual(why):
        lines += [[], *_paragraph(f"Usual: {usual}.", "muted", width)]
    if advice := why_advice(why):
        lines += [[], *_paragraph(advice, "", width)]
    if why.phases:
        lines.append([])
    phases = shown_phases(why, most=max(_LEAST_PHASES, height - len(lines)))
    for phase, begin, cells in phase_bars(why, phases, max(8, width - _LABEL - 10)):
        sign, look = PHASE_LOOKS[phase.name]
        longest = "bold" if phase.name == why.longest else "muted"
        lines.append(
            [
                (f" {phase.name:<{_LABEL}}", longest),
                (f"{seconds(phase.seconds):>6}  ", longest),
                (" " * begin + sign * cells, look),
            ]
        )
    return lines


def _whose(why: Why) -> Line:
    """Its moment, session and asker: what is selected may still run, then this is the one before."""
    who = asker(why.lane, line_text(who_asks(why.lane, why.agent_type, why.purpose), 40))
    return [(f" {day_and_clock(why.time)}  ", ""), session(line_text(why.session)), ("  ", ""), who]


def _paragraph(text: str, style: str, width: int) -> list[Line]:
    return [[(" " + part, style)] for part in wrap(text, width - 2)]
