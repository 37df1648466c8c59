"""One text over the panes, read at length: rendered or as it is, with a search, a selection and a pager."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Literal

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from tui.client.figures import size
from tui.client.wire_text import line_text, shorten, shorten_middle
from tui.screen.clipboard import copy
from tui.screen.keymap import bindings, key_of
from tui.screen.keys.command import Command
from tui.screen.reading.readable import Readable, chosen_view
from tui.screen.reading.rendered import RenderedMarkdown
from tui.screen.reading.searching import Searchable, SearchingScreen
from tui.screen.reading.source_view import SourceView, source_view
from tui.screen.styled_line import Line, line_width, spread
from tui.screen.trace_detail.outside import NoProgram, Program, show_outside
from tui.screen.widgets.block_layout import Block
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.collapsible_blocks import CollapsibleBlocks
from tui.screen.widgets.search_input import SearchInput

_KINDS: dict[str, Literal["text", "json", "prose"]] = {"json": "json", "markdown": "prose"}
_LEAST_NAME = 16  # cells


class ReadScreen(SearchingScreen):
    """Shows `readable`; `subject` is what it belongs to, such as a trace's id and the place in it."""

    place = "read"
    where = "in it"
    head = "#read-head"
    BINDINGS = bindings("read")
    DEFAULT_CSS = """
    ReadScreen { background: $background; color: $foreground; }
    ReadScreen #read-head { height: 1; }
    ReadScreen #read-view { height: 1fr; }
    """

    def __init__(self, readable: Readable, subject: str) -> None:
        super().__init__()
        self._readable = readable
        self._subject = subject
        self._source = False
        self._view, self._reason = chosen_view(readable, source=False)
        # Counted once: the text may have megabytes.
        facts = (readable.language, readable.lines, size(len(readable.text.encode("utf-8", "replace"))))
        self._facts = "  ".join(filter(None, facts))

    @property
    def subject(self) -> str:
        return f"read {self._subject}"

    @property
    def crumb(self) -> str:
        return f"Read {self._readable.name}"

    def content(self) -> ComposeResult:
        yield Canvas(self._head, id="read-head")
        with Vertical(id="read-view"):
            yield self._made()
        yield SearchInput("text in it")

    def on_mount(self) -> None:
        self._shown.focus()

    @property
    def _shown(self) -> Widget:
        return self.query_one("#read-view", Vertical).children[0]

    def _made(self) -> Widget:
        it = self._readable
        if self._view == "rendered":
            return RenderedMarkdown(it.text)
        if self._view == "plain":
            blocks, title = CollapsibleBlocks(), [(it.name, "bold")]
            kind = _KINDS.get("" if it.as_it_came else it.language, "text")
            # It has no line numbers of its own: those with which it came stay.
            blocks.show([Block(title, it.as_it_came or it.text, kind=kind, open=True)])
            return blocks
        return source_view(it.text, it.language if self._view == "coloured" else "", it.first_line)

    def _head(self, width: int, height: int) -> list[Line]:
        right = [*self._told(width // 3), (" ", "")]
        facts = f"   {self._facts}"
        # The name gives way: it stands in the crumbs as well.
        room = max(_LEAST_NAME, width - len(facts) - line_width(right) - 4)
        name = shorten_middle(line_text(self._readable.name), min(room, width // 2))
        return [spread([(" ", ""), (name, "bold"), (facts, "muted")], right, width)]

    def _told(self, cells: int) -> Line:
        """What is searched for; else why it is shown so and what else came with it; else a key."""
        if told := self.told_search:
            return told
        if why := "  ".join(filter(None, (self._reason, self._readable.note))):
            return [(shorten(why, cells), "dim")]
        if self._readable.language == "markdown":
            return [("source " if self._source else "rendered ", "dim"), (key_of("read.source"), "accent")]
        return []

    # -- commands -----------------------------------------------------------------------------------------

    def command_list(self) -> list[Command]:
        found = super().command_list()
        if self._readable.language == "markdown":
            return found
        return [replace(one, short="") if one.action == "source" else one for one in found]

    async def action_source(self) -> None:
        """Rendered, or as it is."""
        if self._readable.language != "markdown":
            self.say("It is shown as it is: only Markdown is rendered.")
            return
        await self._turn(source=not self._source)
        if not self._source and self._reason:
            self.say(f"It is too long to be rendered ({self._reason}).")

    async def _turn(self, *, source: bool) -> None:
        if self.words:  # its marks are of the view that goes
            self.search("")
        self._source = source
        self._view, self._reason = chosen_view(self._readable, source=source)
        box = self.query_one("#read-view", Vertical)
        await box.remove_children()
        await box.mount(self._made())
        self._shown.focus()
        self.query_one(self.head, Canvas).paint()

    def action_copy(self) -> None:
        """Copy what is selected, else all of it."""
        chosen = self.get_selected_text() or ""
        for view in self.query(SourceView):
            chosen = chosen or view.selected_text
        copy(self.app, chosen or self._readable.text, "selection" if chosen else "text")

    def action_outside(self, program: Program) -> None:
        """Open all of it in the user's pager or editor."""
        try:
            said = show_outside(
                self.app, program, self._readable.text, self._readable.file_name, environ=os.environ
            )
        except NoProgram as error:
            self.control_center.notify_user(str(error), "warning")
        else:
            if said:
                self.say(said)

    # -- search -------------------------------------------------------------------------------------------

    @property
    def searched(self) -> Searchable:
        shown = self._shown
        assert isinstance(shown, SourceView | CollapsibleBlocks), "what is rendered is searched in its source"
        return shown

    async def action_filter(self) -> None:  # type: ignore[override]
        """Search in it; a rendered text is searched in its source."""
        if self._view == "rendered":
            await self._turn(source=True)
        super().action_filter()
