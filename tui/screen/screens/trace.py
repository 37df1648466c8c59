"""One trace: seven sections, each a list of collapsible blocks; keys show the next and previous trace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from textual.app import ComposeResult

from proxy.events.causes import cause_of
from tui.client.event_text import cleaned
from tui.client.figures import clock, day_and_clock
from tui.client.wire_text import line_text, shorten, shorten_middle
from tui.screen.clipboard import copy
from tui.screen.keymap import bindings
from tui.screen.panes.request_cells import cancelled, lane, session
from tui.screen.panes.traces import TracesPane
from tui.screen.screens.context import ContextScreen
from tui.screen.screens.opened import OpenedScreen
from tui.screen.screens.trace_sections import SECTIONS
from tui.screen.styled_line import Line, fit, line_width, plain_text, spread
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.collapsible_blocks import Block, CollapsibleBlocks

if TYPE_CHECKING:
    from proxy.traces.schema import Trace


class TraceScreen(OpenedScreen):
    """Shows the trace `trace_id`, read with `load`; `neighbour(id, step)` gives ids beside it in the list."""

    place = "trace"
    BINDINGS = bindings("trace")

    def __init__(
        self,
        trace_id: str,
        load: Callable[[str], Awaitable[Trace]],
        neighbour: Callable[[str, int], str | None],
        section: int = 0,
    ) -> None:
        super().__init__()
        self._trace_id = trace_id
        self._load = load
        self._neighbour = neighbour
        self._section = section
        self._trace: Trace | None = None
        self._problem = ""

    def content(self) -> ComposeResult:
        yield Canvas(self._title, id="trace-title")
        yield CollapsibleBlocks()

    @property
    def subject(self) -> str:
        return f"trace {self._trace_id}"

    @property
    def crumb(self) -> str:
        return f"Trace {clock(self._trace.time)}" if self._trace is not None else "Trace"

    def on_mount(self) -> None:
        self.query_one(CollapsibleBlocks).focus()
        self._open(self._trace_id)

    @property
    def trace(self) -> str:
        """The id of the trace that it shows."""
        return self._trace_id

    def _open(self, trace_id: str) -> None:
        self._trace_id = trace_id
        self.run_worker(
            self._fetch(trace_id), name="trace", group="trace", exclusive=True, exit_on_error=False
        )

    async def _fetch(self, trace_id: str) -> None:
        try:
            trace = await self._load(trace_id)
            # Everything in it comes from the wire.
            self._trace = trace.model_validate(cleaned(trace.model_dump()))
            self._problem = ""
        except Exception as error:
            self._trace, self._problem = None, line_text(str(error)) or type(error).__name__
        self._draw()

    def _draw(self) -> None:
        if not (self.is_attached and self.app.is_running):  # the screen closed while the trace was loading
            return
        blocks = self.query_one(CollapsibleBlocks)
        if self._trace is None:
            problem: Line = [(self._problem or "Loading the trace …", "bad" if self._problem else "muted")]
            blocks.show([Block(problem)])
        else:
            blocks.show(SECTIONS[self._section][1](self._trace))
        self.query_one("#trace-title", Canvas).paint()

    def _title(self, width: int, height: int) -> list[Line]:
        sections: Line = [(" ", "")]
        start = end = 0
        for number, (name, _) in enumerate(SECTIONS):
            here = number == self._section
            click = f"@screen.go({number})"
            start = line_width(sections) if here else start
            sections.append((name, f"bold {click}" if here else f"muted {click}"))
            end = line_width(sections) if here else end
            sections.append(("   " if width >= 90 else "  ", ""))
        rule: Line = [("─" * start, "rule"), ("━" * (end - start), "accent"), ("─" * (width - end), "rule")]
        return [self._headline(width), fit(sections, width), rule]

    def _headline(self, width: int) -> Line:
        trace = self._trace
        if trace is None:
            return [(" trace  ", "accent bold"), (self._trace_id, "muted")]
        left: Line = [
            (" trace  ", "accent bold"),
            (day_and_clock(trace.time), ""),
            ("  ", ""),
            session(trace.session),
        ]
        left += [("  ", ""), lane(trace.lane)]
        if width >= 100:
            left += [("  ", ""), (shorten_middle(trace.model, 28), "muted")]
        response = trace.response
        if response.cancelled:
            end: Line = cancelled(line_text(response.error.cause) if response.error else "", 24)
        elif (error := response.error) is not None:
            cause = line_text(error.cause) or cause_of(line_text(error.type), error.message)
            end = [("✗ ", "bad"), (shorten(cause, 30), "bad")]
        else:
            reason = (response.message or {}).get("stop_reason")
            end = [("✓ ", "ok"), (shorten(line_text(str(reason or response.status)), 24), "muted")]
        return spread(left, [*end, (" ", "")], width)

    # -- commands -----------------------------------------------------------------------------------------

    def action_step(self, step: int) -> None:
        """Show the next or previous trace of the list."""
        other = self._neighbour(self._trace_id, step)
        if other is None:
            self.app.notify("No more traces in that direction.", timeout=2, markup=False)
        else:
            self._open(other)

    def action_section(self, step: int) -> None:
        """Show the next or previous section."""
        self.action_go((self._section + step) % len(SECTIONS))

    def action_go(self, number: int) -> None:
        """Show section `number`."""
        self._section = number
        self._draw()

    def action_fold(self) -> None:
        """Fold or unfold the block at the cursor."""
        self.query_one(CollapsibleBlocks).toggle()

    def action_fold_all(self) -> None:
        """Fold or unfold everything."""
        self.query_one(CollapsibleBlocks).toggle_all()

    def action_why(self) -> None:
        """Explain this request."""
        self.app.post_message(TracesPane.Explained(self._trace_id))

    def action_diff(self) -> None:
        """Compare this request with the one before it in its session."""
        self.app.post_message(TracesPane.Compared(self._trace_id))

    def action_context(self) -> None:
        """Show what fills the context window of this request's session."""
        if self._trace is not None and self._trace.session:
            self.control_center.open(ContextScreen(self._trace.session))
        elif self._trace is not None:
            self.app.notify("Its client told no session.", timeout=2, markup=False)

    def action_copy(self) -> None:
        """Copy the block at the cursor."""
        block = self.query_one(CollapsibleBlocks).current
        if block is None:
            return
        body = (
            block.body
            if isinstance(block.body, str)
            else "\n".join(plain_text(line) for line in block.body(100))
        )
        copy(self.app, body or plain_text(block.title), "part")
