"""How a find stands in the palette. Names come from clients and models: they are data, never markup."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from textual.command import Hit, Provider
from textual.content import Content

from tui.client.wire_text import line_text, shorten

MOST = 6  # finds of one kind
_CELLS = 100
# What kind stands before which, whatever was typed.
WITH_VALUE, COMMAND, NAMED, SESSION, REQUEST, TRACE, FUZZY = 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 0.0


class Finder(Provider):
    """A provider that finds with all of the words that were typed, in any order and case."""

    def offer(
        self, rank: float, title: str, run: Callable[[], Any], about: str, query: str = "", place: int = 0
    ) -> Hit:
        """A find; `place` counts those of its kind, so that they keep their order."""
        title = shorten(line_text(title), _CELLS)
        shown = Content(title)
        for word in set(query.lower().split()):
            if (at := title.lower().find(word)) >= 0:
                shown = shown.stylize(self.match_style or "bold", at, at + len(word))
        about = cast(str, Content(shorten(line_text(about), _CELLS)))  # as text it would be read as markup
        return Hit(rank - place / 100, shown, run, text=title, help=about)


def has_words(text: str, query: str) -> bool:
    """Whether `text`, in lower case, has each word of the query."""
    return all(word in text for word in query.lower().split())


def behind(query: str, *verbs: str) -> str | None:
    """What stands behind one of these words at the query's beginning; None: it begins with none."""
    first, _, rest = query.strip().partition(" ")
    return rest.strip() if first.lower() in verbs else None
