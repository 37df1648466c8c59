"""One trace in its parts; keys search in them, lead to the session's other turns and to the list's others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult

from proxy.configuration.known_backends import backend_kind
from tui.client.figures import clock, size
from tui.client.wire_text import line_text
from tui.screen.charts import without_bars
from tui.screen.choices.own_command import own_command
from tui.screen.clipboard import copy
from tui.screen.host_actions.questions import cannot_restart
from tui.screen.keymap import bindings, key_of
from tui.screen.panes.traces import TracesPane
from tui.screen.reading.asked import reading_of
from tui.screen.reading.searching import SearchingScreen
from tui.screen.screens.context import ContextScreen
from tui.screen.styled_line import Line, line_width, plain_text, spread
from tui.screen.trace_detail.handing_on import FOLDER, ExportScreen, exported_text, write_export
from tui.screen.trace_detail.headline import trace_headline
from tui.screen.trace_detail.opened_trace import OpenedTrace
from tui.screen.trace_detail.outside import NoProgram, Program, show_outside
from tui.screen.trace_detail.parts import PARTS
from tui.screen.trace_detail.replay import OTHER, ReplayQuestion, ReplayScreen
from tui.screen.widgets.block_layout import Block
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.collapsible_blocks import CollapsibleBlocks
from tui.screen.widgets.in_background import in_background
from tui.screen.widgets.search_input import SearchInput

if TYPE_CHECKING:
    from proxy.traces.schema import Trace

_SHOW_NAMES = 108  # cells from which on parts have their whole names
_WHAT_HOST_KNOWS = (0, len(PARTS) - 1)  # parts that show more once the host has told about other requests


class TraceScreen(SearchingScreen):
    """Shows the trace `trace_id`, read with `load`; `neighbour(id, step)` gives ids beside it in the list."""

    place = "trace"
    where = "in this part"
    head = "#trace-title"
    go_on = "next"
    BINDINGS = bindings("trace")

    def __init__(
        self,
        trace_id: str,
        load: Callable[[str], Awaitable[Trace]],
        neighbour: Callable[[str, int], str | None],
        part: int = 0,
    ) -> None:
        super().__init__()
        self._trace_id = trace_id
        self._load = load
        self._neighbour = neighbour
        self._part = part
        self._opened: OpenedTrace | None = None
        self._problem = ""

    def content(self) -> ComposeResult:
        yield Canvas(self._title, id="trace-title")
        yield CollapsibleBlocks()
        yield SearchInput(f"text {self.where}")

    @property
    def subject(self) -> str:
        return f"trace {self._trace_id}"

    @property
    def searched(self) -> CollapsibleBlocks:
        return self.query_one(CollapsibleBlocks)

    @property
    def crumb(self) -> str:
        return f"Trace {clock(self._opened.trace.time)}" if self._opened is not None else "Trace"

    def on_mount(self) -> None:
        self.query_one(CollapsibleBlocks).focus()
        self._open(self._trace_id)

    @property
    def request(self) -> str:
        return self._trace_id

    @property
    def session(self) -> str:
        return self._opened.trace.session if self._opened is not None else ""

    # -- loading ------------------------------------------------------------------------------------------

    def _open(self, trace_id: str) -> None:
        self._trace_id = trace_id
        in_background(self, "trace", partial(self._fetch, trace_id))

    async def _fetch(self, trace_id: str) -> None:
        try:
            self._opened = OpenedTrace(await self._load(trace_id))
            self._problem = ""
        except Exception as error:
            self._opened, self._problem = None, line_text(str(error)) or type(error).__name__
        self._draw()
        if (opened := self._opened) is None:
            return
        app = self.control_center
        # Each may fail by itself, as where the trace was removed meanwhile: its lines are missing then.
        why, turns = await asyncio.gather(
            app.load_why(trace_id), app.load_turns(trace_id), return_exceptions=True
        )
        opened.why = why if not isinstance(why, BaseException) else None
        opened.turns = turns if not isinstance(turns, BaseException) else None
        if self._opened is opened and self._part in _WHAT_HOST_KNOWS:
            self._draw(again=True)

    def _draw(self, *, again: bool = False) -> None:
        if not (self.is_attached and self.app.is_running):  # the screen closed while the trace was loading
            return
        blocks = self.query_one(CollapsibleBlocks)
        if self._opened is None:
            problem: Line = [(self._problem or "Loading the trace …", "bad" if self._problem else "muted")]
            blocks.show([Block(problem)])
        elif again:
            blocks.redraw(PARTS[self._part].blocks(self._opened))
        else:
            blocks.show(PARTS[self._part].blocks(self._opened))
            if self.words:
                self.search(self.words)
        self.query_one("#trace-title", Canvas).paint()

    # -- drawing ------------------------------------------------------------------------------------------

    def _title(self, width: int, height: int) -> list[Line]:
        line: Line = [(" ", "")]
        start = end = 0
        for number, part in enumerate(PARTS):
            here = number == self._part
            click = f"@screen.part({number})"
            name = part.name if width >= _SHOW_NAMES else part.short
            start = line_width(line) if here else start
            line += [
                (f"{key_of(f'trace.part:{number}')} ", f"accent {click}"),
                (name, f"{'bold' if here else 'muted'} {click}"),
            ]
            end = line_width(line) if here else end
            line.append(("   " if width >= _SHOW_NAMES else "  ", ""))
        rule: Line = [("─" * start, "rule"), ("━" * (end - start), "accent"), ("─" * (width - end), "rule")]
        if self._opened is None:
            headline: Line = [(" trace  ", "accent bold"), (line_text(self._trace_id), "muted")]
        else:
            headline = trace_headline(self._opened, width)
        return [headline, spread(line, [*self.told_search, (" ", "")], width), rule]

    # -- moving -------------------------------------------------------------------------------------------

    def action_step(self, step: int) -> None:
        """Show the next or previous trace of the list."""
        other = self._neighbour(self._trace_id, step)
        if other is None:
            self.say("No more traces in that direction.")
        else:
            self._open(other)

    def action_next(self) -> None:
        """Go to the next match while something is searched for, else to the next trace of the list."""
        if self.words:
            self.action_match(1)
        else:
            self.action_step(1)

    def action_turn(self, step: int) -> None:
        """Show the session's turn before or after."""
        turns = self._opened.turns if self._opened is not None else None
        if turns is None:
            self.say("The turns of its session are not known (yet).")
        elif 0 <= (place := turns.place + step) < len(turns.turns):
            self._open(turns.turns[place].id)
        else:
            self.say(f"No turn of this session {'before' if step < 0 else 'after'} it.")

    def action_open(self, trace_id: str) -> None:
        """Show another trace: a click on a turn."""
        self._open(trace_id)

    def action_section(self, step: int) -> None:
        """Show the next or previous part."""
        self.action_part((self._part + step) % len(PARTS))

    def action_part(self, number: int) -> None:
        """Show part `number`, from 0 on."""
        self._part = number
        self._draw()

    def action_read(self) -> None:
        """Read the block at the cursor, or the first with a text below it, at length."""
        if (block := self.query_one(CollapsibleBlocks).to_read) is None:
            self.say("There is no text to read from here on.")
        else:
            self.post_message(reading_of(block, PARTS[self._part].name, self._trace_id))

    def action_fold(self) -> None:
        """Fold or unfold the block at the cursor."""
        if self._loaded() is not None and not self.query_one(CollapsibleBlocks).toggle():
            self.say("Nothing is folded here.")

    def action_fold_all(self) -> None:
        """Fold or unfold everything."""
        if self._loaded() is not None and not self.query_one(CollapsibleBlocks).toggle_all():
            self.say("Nothing in this part can be folded.")

    # -- other commands -----------------------------------------------------------------------------------

    def action_why(self) -> None:
        """Explain this request."""
        self.app.post_message(TracesPane.Explained(self._trace_id))

    def action_diff(self) -> None:
        """Compare this request with the one before it in its session."""
        self.app.post_message(TracesPane.Compared(self._trace_id))

    def action_context(self) -> None:
        """Show what fills the context window of this request's session."""
        if (opened := self._loaded()) is None:
            return
        if name := opened.trace.session:
            self.control_center.open(ContextScreen(name))
        else:
            self.say("Its client told no session.")

    def action_copy(self) -> None:
        """Copy the block at the cursor."""
        if self._loaded() is None:
            return
        block = self.query_one(CollapsibleBlocks).current
        if block is not None:
            text = block.text_at(100) or plain_text(block.title)
            copy(self.app, text if isinstance(block.body, str) else without_bars(text), "block")

    def action_outside(self, program: Program) -> None:
        """Open all of this part in the user's pager or editor."""
        if (opened := self._loaded()) is None:
            return
        name = f"{opened.trace.id}-{PARTS[self._part].short.lower()}.txt"
        try:
            text = self.query_one(CollapsibleBlocks).text
            said = show_outside(self.app, program, text, name, environ=os.environ)
        except NoProgram as error:
            self.control_center.notify_user(str(error), "warning")
        else:
            if said:
                self.say(said)

    def action_export(self) -> None:
        """Write this trace in another program's format, or copy it so."""
        if (opened := self._loaded()) is not None:
            self.run_worker(self._export(opened.raw), name="export", exit_on_error=False)

    async def _export(self, trace: Trace) -> None:
        app = self.control_center
        folder = (app.state_folder or Path.cwd()) / FOLDER
        choice = await app.push_screen_wait(ExportScreen(folder))
        if choice is None:
            return
        url, token = app.host_address
        try:
            text = await asyncio.to_thread(exported_text, trace, choice.form, token=token, url=url)
            if choice.to == "clipboard":
                copy(self.app, text, "trace")
                return
            path = await asyncio.to_thread(write_export, folder, trace, choice.suffix, text)
        except Exception as error:
            app.notify_user(f"The trace was not exported: {error}", "error")
        else:
            app.notify(f"Wrote {size(len(text.encode()))} to {path}", timeout=15, markup=False)

    def action_replay(self) -> None:
        """Ask this request again, of this host's model or of another one that it has."""
        if (opened := self._loaded()) is not None:
            self.run_worker(self._replay(opened.raw), name="replay", group="ask", exit_on_error=False)

    async def _replay(self, trace: Trace) -> None:
        from proxy.traces.request_replay import NoReplay, redacted_places, replay_body

        app = self.control_center
        try:
            body = replay_body(trace)
            models = await app.load_models()
        except NoReplay as error:
            app.notify_user(str(error), "warning")
            return
        except Exception as error:
            app.notify_user(f"The host cannot be asked: {error}", "error")
            return
        # The model of then first, where the host still has it.
        models = sorted(models, key=lambda model: model not in (trace.model, trace.upstream_model))
        command = own_command(f"traces replay {trace.id} --model NAME")
        host = app.store.snapshot().host
        elsewhere = host is not None and backend_kind(host.backend) != "mlx"
        question = ReplayQuestion(
            trace,
            models or [trace.model],
            redacted_places(body),
            command,
            loads=not cannot_restart(app.store.snapshot()),
            payee=host.backend if host is not None and elsewhere else "",
        )
        model = await app.push_screen_wait(question)
        if model == OTHER:
            app.open_models()
        elif model is not None:
            app.open(ReplayScreen(trace, model))

    def _loaded(self) -> OpenedTrace | None:
        """The trace; None, with a word why, where there is none (yet)."""
        if self._opened is None:
            self.say(self._problem or "The trace is still being loaded.")
        return self._opened
