"""What the configuration says of the screen, checked against what the screen has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from textual.theme import BUILTIN_THEMES, Theme

from tui.screen.choices.own_themes import ThemeProblems, own_themes, unknown_theme
from tui.screen.choices.user_keys import KeyProblems, user_keys
from tui.screen.themes import OWN_THEMES


@dataclass(frozen=True)
class ScreenChoices:
    """The theme to begin with ("": none was chosen), the user's own themes, keys by id, and how to call."""

    theme: str = ""
    themes: tuple[Theme, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    notify: str = "off"


DEFAULT_CHOICES = ScreenChoices()


def settle_choices(
    theme: str, themes: Mapping[str, Mapping[str, str]], keys: Mapping[str, str], notify: str
) -> tuple[ScreenChoices, list[str]]:
    """The choices, and one line for each setting that is wrong, which is left out of them."""
    problems: list[str] = []
    made: tuple[Theme, ...] = ()
    ids: dict[str, str] = {}
    try:
        made = tuple(own_themes(themes, BUILTIN_THEMES.values()))
    except ThemeProblems as error:
        problems += error.problems
    there = {*BUILTIN_THEMES, *(one.name for one in (*OWN_THEMES, *made))}
    if theme and theme not in there and theme not in themes:
        problems.append(f"theme: {unknown_theme(theme, there)}")
    try:
        ids = user_keys(keys)
    except KeyProblems as error:
        problems += error.problems
    return ScreenChoices(theme if theme in there else "", made, ids, notify), problems
