"""A text as it is: Textual's text area without a way to change it, in the colours of the theme."""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from textual.widgets import TextArea
from textual.widgets.text_area import LanguageDoesNotExist, Selection, TextAreaTheme

from tui.screen.theme_styles import ThemeStyles
from tui.screen.widgets.block_layout import matches_in, searched

# Tree-sitter's names, as the queries of Textual use them, and our styles by meaning.
_MEANINGS: Mapping[str, str] = {
    "comment": "muted", "string": "decode", "string.special": "decode", "string.escape": "prefill",
    "escape": "prefill", "number": "prefill", "float": "prefill", "boolean": "prefill", "constant": "prefill",
    "constant.builtin": "prefill", "keyword": "accent", "keyword.return": "accent",
    "keyword.operator": "accent", "keyword.function": "accent", "conditional": "accent", "repeat": "accent",
    "exception": "accent",
    "include": "accent", "preproc": "accent", "operator": "muted", "punctuation.bracket": "muted",
    "punctuation.delimiter": "muted", "function": "lane.main", "function.call": "lane.main",
    "function.method": "lane.main", "function.builtin": "lane.main", "function.macro": "lane.main",
    "method": "lane.main", "method.call": "lane.main", "property": "lane.main", "field": "lane.main",
    "constructor": "lane.subagent", "type": "lane.subagent", "type.class": "lane.subagent",
    "type.definition": "lane.subagent", "type.builtin": "lane.subagent", "attribute": "lane.subagent",
    "json.label": "lane.main", "json.string": "decode", "yaml.field": "lane.main", "toml.type": "lane.main",
    "tag": "lane.main", "tag.attribute": "lane.subagent", "heading": "bold", "markup.heading": "bold",
    "label": "lane.main", "text.uri": "muted underline", "text.literal": "lane.main",
}  # fmt: skip
_THEME = "anyclaude"


class SourceView(TextArea):
    """Line numbers from `first` on, a cursor and a selection.

    Raises:
        LanguageDoesNotExist: the language has no grammar here.
    """

    DEFAULT_CSS = """
    SourceView, SourceView:focus { height: 1fr; border: none; padding: 0; background: $background; }
    """

    def __init__(self, text: str, language: str = "", first: int = 1) -> None:
        super().__init__(
            text,
            language=language or None,
            read_only=True,
            show_line_numbers=True,
            line_number_start=first,
            compact=True,
        )
        self._matches: list[tuple[int, int]] = []  # of a search: beginning and end of each
        self._match = 0  # which of them is selected
        self.cursor_blink = False  # half a second of rest is no change to draw

    def on_mount(self) -> None:
        self._take_colours()
        self.app.theme_changed_signal.subscribe(self, lambda theme: self._take_colours())

    def on_unmount(self) -> None:
        # Textual keeps its own watcher of the theme, and with it all of the text, until the theme changes.
        watchers = getattr(self.app, "__watchers", {}).get("theme", [])
        watchers[:] = [one for one in watchers if one[0] is not self]

    def _take_colours(self) -> None:
        styles: ThemeStyles = self.app.theme_styles  # type: ignore[attr-defined]
        self.register_theme(
            TextAreaTheme(
                _THEME,
                base_style=styles.style("text"),
                gutter_style=styles.style("dim"),
                cursor_line_style=styles.style("", "on-resting"),
                cursor_line_gutter_style=styles.style("accent", "on-resting"),
                selection_style=Style(reverse=True),  # a match stands out, also without colours
                syntax_styles={name: _without_ground(styles.style(mine)) for name, mine in _MEANINGS.items()},
            )
        )
        if self.theme == _THEME:
            self.theme = "css"  # a theme of the same name is no change
        self.theme = _THEME

    # -- search -------------------------------------------------------------------------------------------

    @property
    def found(self) -> tuple[int, int]:
        """Which match is selected, from 1 on, and how many there are."""
        return (self._match + 1 if self._matches else 0, len(self._matches))

    def search(self, query: str) -> None:
        """Find a text, whatever its case, and select the first match; "": select nothing."""
        self._matches = matches_in(self.text, searched(query)) if query else []
        self._match = 0
        self._select_match()

    def step_match(self, step: int) -> None:
        """Select the next or previous match; behind the last one the first."""
        if self._matches:
            self._match = (self._match + step) % len(self._matches)
            self._select_match()

    def _select_match(self) -> None:
        if not self._matches:
            self.selection = Selection.cursor(self.selection.end)
            return
        begin, end = self._matches[self._match]
        self.selection = Selection(self._location(begin), self._location(end))
        self.scroll_cursor_visible(center=True, animate=False)

    def _location(self, index: int) -> tuple[int, int]:
        line = self.text.count("\n", 0, index)
        return line, index - (self.text.rfind("\n", 0, index) + 1)


def source_view(text: str, language: str, first: int = 1) -> SourceView:
    """The text with the colours of its language, or without any where that has no grammar here."""
    try:
        return SourceView(text, language, first)
    except LanguageDoesNotExist:
        return SourceView(text, "", first)


def _without_ground(style: Style) -> Style:
    return Style(color=style.color, bold=style.bold, italic=style.italic, underline=style.underline)
