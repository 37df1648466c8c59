"""The user's own themes: `themes` of the configuration, each a base and what differs from it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from textual.color import Color, ColorParseError
from textual.theme import Theme

from tui.screen.themes import NIGHT, OWN_THEMES

BASE = "base"
_PARTS = (
    "primary", "secondary", "accent", "warning", "error", "success", "foreground", "background", "surface",
    "panel", "boost",
)  # fmt: skip
# The colours of meanings, as `tui.screen.theme_styles` knows them.
_MEANINGS = tuple(name.removeprefix("ac-") for name in NIGHT.variables if name.startswith("ac-"))
_MEANINGS += ("muted", "label", "dim")  # shades of the foreground, unless a theme says otherwise
_MORE = ("scrollbar", "block-cursor-background", "block-cursor-foreground", "input-selection-background")
COLOURS = tuple(dict.fromkeys((*_PARTS, *_MEANINGS, *_MORE)))


class ThemeProblems(ValueError):
    """The user's themes cannot be used; `problems` has one line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


def own_themes(chosen: Mapping[str, Mapping[str, str]], known: Iterable[Theme]) -> list[Theme]:
    """The themes of `chosen`: colours by name, over those of the theme that `base` names (ours by default).

    `known` are Textual's themes. A base may also be one of `chosen` that stands before it.

    Raises:
        ThemeProblems: a name, a base, a colour's name or a colour is not known.
    """
    problems: list[str] = []
    there = {theme.name: theme for theme in (*known, *OWN_THEMES)}
    found: list[Theme] = []
    for name, colours in chosen.items():
        base = there.get(colours.get(BASE, NIGHT.name))
        if name in there:
            problems.append(f"themes.{name}: there is a theme of this name; choose another")
        elif base is None:
            problems.append(f"themes.{name}.base: {unknown_theme(colours[BASE], there)}")
        else:
            problems += _wrong(name, colours)
            there[name] = _made(name, base, colours)
            found.append(there[name])
    if problems:
        raise ThemeProblems(problems)
    return found


def unknown_theme(name: str, there: Iterable[str]) -> str:
    """That there is no theme of this name, and which there are."""
    known = sorted(there)
    near = difflib.get_close_matches(name, known, 1)
    return f'there is no theme "{name}"{f"; {near[0]}?" if near else ";"} there are: {", ".join(known)}'


def _wrong(name: str, colours: Mapping[str, str]) -> Iterable[str]:
    for part, colour in colours.items():
        if part == BASE:
            continue
        if part not in COLOURS:
            yield f"themes.{name}.{part}: there is no such colour; there are: {', '.join(COLOURS)}"
        elif not _is_colour(colour):
            yield (
                f'themes.{name}.{part}: "{colour}" is no colour; allowed: such as #86c491, rgb(134,196,145),'
                " green or ansi_green"
            )


def _is_colour(text: str) -> bool:
    try:
        Color.parse(text)
    except ColorParseError:
        return False
    return True


def _made(name: str, base: Theme, colours: Mapping[str, str]) -> Theme:
    parts = {part: colour for part, colour in colours.items() if part in _PARTS}
    variables = dict(base.variables)
    for part, colour in colours.items():
        if part in _MEANINGS:
            variables[f"ac-{part}"] = colour
        elif part in _MORE:
            variables[part] = colour
    background = parts.get("background")
    dark = base.dark
    if background is not None and _is_colour(background):
        dark = Color.parse(background).brightness < 0.5
    return replace(base, name=name, variables=variables, dark=dark, **parts)  # type: ignore[arg-type]
