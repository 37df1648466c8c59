"""One text over the panes, read at length: rendered or as it is, with a search, a selection and a pager."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Literal, assert_never

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from tui.client.figures import plural, size
from tui.client.wire_text import line_text, shorten_middle
from tui.screen.clipboard import copy
from tui.screen.keymap import bindings, key_of
from tui.screen.keys.command import Command
from tui.screen.keys.table import WHILE_SEARCHING
from tui.screen.reading.readable import Readable, View, chosen_view
from tui.screen.reading.rendered import RenderedMarkdown
from tui.screen.reading.source_view import SourceView, source_view
from tui.screen.screens.opened import OpenedScreen
from tui.screen.styled_line import Line, spread
from tui.screen.trace_detail.outside import NoProgram, Program, show_outside
from tui.screen.widgets.block_layout import Block, matches_in, searched
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.collapsible_blocks import CollapsibleBlocks
from tui.screen.widgets.search_input import SearchInput


class ReadScreen(OpenedScreen):
    """Shows `readable`; `subject` is what it belongs to, such as a trace's id and the place in it."""

    place = "read"
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
        self._view: View = "plain"
        self._reason = ""
        self._query = ""
        self._found: list[tuple[int, int]] = []
        self._place = 0  # of the match that is marked

    @property
    def subject(self) -> str:
        return f"read {self._subject}"

    @property
    def crumb(self) -> str:
        return f"Read {self._readable.name}"

    def content(self) -> ComposeResult:
        yield Canvas(self._head, id="read-head")
        yield Vertical(id="read-view")
        yield SearchInput()

    async def on_mount(self) -> None:
        await self._show_view()

    async def _show_view(self) -> None:
        self._view, self._reason = chosen_view(self._readable, source=self._source)
        box = self.query_one("#read-view", Vertical)
        await box.remove_children()
        await box.mount(view := self._made())
        if isinstance(view, RenderedMarkdown):
            await view.show(self._readable.text)
        view.focus()
        self.query_one("#read-head", Canvas).paint()

    def _made(self) -> Widget:
        text, language = self._readable.text, self._readable.language
        match self._view:
            case "rendered":
                return RenderedMarkdown()
            case "coloured":
                return source_view(text, language)
            case "numbered":
                return SourceView(text)
            case "plain":
                blocks = CollapsibleBlocks()
                kind: Literal["text", "json", "prose"] = (
                    "json" if language == "json" else "prose" if language == "markdown" else "text"
                )
                # Shown once its width is known: a body of megabytes is wrapped once.
                blocks.call_after_refresh(
                    blocks.show, [Block([(self._readable.name, "bold")], text, kind=kind, open=True)]
                )
                return blocks
        assert_never(self._view)

    def _head(self, width: int, height: int) -> list[Line]:
        text = self._readable.text
        left: Line = [(" ", ""), (shorten_middle(line_text(self._readable.name), max(8, width // 2)), "bold")]
        facts = [plural(text.count("\n") + 1, "line"), size(len(text.encode("utf-8", "replace")))]
        if self._readable.language:
            facts.insert(0, self._readable.language)
        left.append((f"   {'  '.join(facts)}", "muted"))
        right: Line = []
        if self._query:
            right = self._told_matches()
        elif self._reason:
            right = [(self._reason + " ", "dim")]
        elif self._readable.language == "markdown":
            right = [("source " if self._source else "rendered ", "dim"), (key_of("read.source"), "accent")]
        return [spread(left, [*right, (" ", "")], width)]

    # -- commands -----------------------------------------------------------------------------------------

    async def action_source(self) -> None:
        """Rendered, or as it is."""
        if self._readable.language != "markdown":
            self._say("It is shown as it is: only Markdown is rendered.")
            return
        self._source = not self._source
        await self._show_view()
        if not self._source and self._reason:
            self._say(f"It is too long to be rendered ({self._reason}).")

    def action_copy(self) -> None:
        """Copy what is selected, else all of it."""
        chosen = self.get_selected_text() or ""
        for view in self.query(SourceView):
            chosen = chosen or view.selected_text
        copy(self.app, chosen or self._readable.text, "selection" if chosen else "text")

    def action_outside(self, program: Program) -> None:
        """Open all of it in the user's pager or editor."""
        try:
            said = show_outside(self.app, program, self._readable.text, "text.txt", environ=os.environ)
        except NoProgram as error:
            self.control_center.notify_user(str(error), "warning")
        else:
            if said:
                self._say(said)

    def action_back(self) -> None:
        """Take the marks of a search away; without one, back to where it was opened from."""
        if self.query_one(SearchInput).is_open:
            self.query_one(SearchInput).action_clear()
        elif self._query:
            self._search("")
        else:
            super().action_back()

    # -- search -------------------------------------------------------------------------------------------

    async def action_filter(self) -> None:  # type: ignore[override]
        """Search in it; a rendered text is searched in its source."""
        if self._view == "rendered":
            self._source = True
            await self._show_view()
        self.query_one(SearchInput).open(self._query)
        self._search(self._query)

    def on_search_input_changed(self, event: SearchInput.Changed) -> None:
        self._search(event.query)
        if event.done:
            self.query_one("#read-view", Vertical).children[0].focus()

    def action_keep_search(self) -> None:
        """Close the input and keep the marks."""
        self.query_one(SearchInput).keep()

    def command_list(self) -> list[Command]:
        """The commands of this screen; in a search, those of the search first."""
        if self.query_one(SearchInput).is_open:
            return list(WHILE_SEARCHING)
        return [self._in_footer(one) for one in super().command_list()]

    def _in_footer(self, command: Command) -> Command:
        if command.action == "source" and self._readable.language != "markdown":
            return replace(command, short="")
        if command.name == "match:1":
            return replace(command, rank=0) if self._query else replace(command, short="")
        return command

    def _search(self, query: str) -> None:
        self._query, self._place = query, 0
        if self._view == "plain":
            self.query_one(CollapsibleBlocks).search(query)
        else:
            self._found = matches_in(self._readable.text, searched(query)) if query else []
            self._mark()
        self._tell()

    def action_match(self, step: int) -> None:
        """Go to the next or previous match."""
        if not self._query:
            self._say(f"Nothing is searched for: {key_of('read.filter')} does.")
        elif self._view == "plain":
            self.query_one(CollapsibleBlocks).step_match(step)
        elif self._found:
            self._place = (self._place + step) % len(self._found)
            self._mark()
        self._tell()

    def _mark(self) -> None:
        for view in self.query(SourceView):
            if self._found:
                view.mark(*self._found[self._place])
            else:
                view.unmark()

    def _told_matches(self) -> Line:
        place, total = self._place + 1, len(self._found)
        if self._view == "plain":
            place, total = self.query_one(CollapsibleBlocks).found
        if not total:
            return [("not in it", "warn")]
        keys = f"{key_of('read.match:1')} {key_of('read.match:-1')}"
        return [(f"{place:,} of {total:,}", "bold"), (f"   {keys}", "accent")]

    def _tell(self) -> None:
        self.query_one(SearchInput).tell(self._told_matches() if self._query else [])
        self.query_one("#read-head", Canvas).paint()

    def _say(self, text: str) -> None:
        self.app.notify(text, timeout=3, markup=False)
