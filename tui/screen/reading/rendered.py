"""Markdown from the wire, rendered by Textual's widget: nothing is opened, loaded or obeyed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Markdown

from tui.client.wire_text import block_text, line_text
from tui.screen.clipboard import copy

if TYPE_CHECKING:
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token


def safe_parser() -> MarkdownIt:
    """Textual's parser, whose texts are made safe once more: an entity such as `&#27;` is decoded by it."""
    parser = MarkdownIt("gfm-like")
    # HTML would be left out without a word; as text it stays.
    parser.disable(["html_block", "html_inline"])
    parser.core.ruler.push("safe", _make_safe)
    return parser


def _make_safe(state: StateCore) -> None:
    for token in state.tokens:
        _clean(token)
        for child in token.children or ():
            _clean(child)


def _clean(token: Token) -> None:
    token.content = block_text(token.content)
    token.info = line_text(token.info)
    if token.type in ("fence", "code_block") and not token.info.strip():
        token.info = "text"  # a language that is guessed marks what does not fit as errors
    for name, value in token.attrs.items():
        if isinstance(value, str):
            token.attrs[name] = line_text(value)


class RenderedMarkdown(VerticalScroll):
    """A rendered text. A click on a link tells its address and copies it: what wrote it may be a stranger."""

    DEFAULT_CSS = """
    RenderedMarkdown { height: 1fr; padding: 0 1; background: $background; }
    RenderedMarkdown Markdown { background: $background; padding: 0; }
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        yield Markdown(self._text, parser_factory=safe_parser, open_links=False)

    @on(Markdown.LinkClicked)
    def _tell_link(self, event: Markdown.LinkClicked) -> None:
        event.stop()
        address = line_text(event.href)
        copy(self.app, address, "link's address")
        self.app.notify(f"Not opened: {address}", timeout=6, markup=False)
