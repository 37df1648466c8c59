"""Looks: the names of meanings (a lane, a state, a cache share) and the colours that the theme gives them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip

from tui.lines import Line
from tui.wire_text import line_text

# Meaning -> theme variable. A theme of our own defines the name itself; in any other theme the second one,
# which every Textual theme has, stands in.
_COLOURS: dict[str, tuple[str, str]] = {
    "text": ("foreground", "foreground"),
    "accent": ("ac-accent", "text-accent"),
    "lane.main": ("ac-lane-main", "text-primary"),
    "lane.subagent": ("ac-lane-subagent", "text-secondary"),
    "lane.compaction": ("ac-lane-compaction", "text-accent"),
    "lane.auxiliary": ("ac-lane-auxiliary", "foreground"),
    "reused": ("ac-reused", "text-primary"),
    "prefill": ("ac-prefill", "text-warning"),
    "decode": ("ac-decode", "text-success"),
    "rest": ("ac-rest", "foreground"),
    "ok": ("ac-ok", "text-success"),
    "warn": ("ac-warn", "text-warning"),
    "bad": ("ac-bad", "text-error"),
    "thinking": ("ac-thinking", "text-secondary"),
    "tool": ("ac-tool", "text-accent"),
}
# `area.` and a name is its colour softened, for graphs that fill an area.
# Shades between foreground and background: name -> share of the background.
_SHADES = {"muted": 0.42, "label": 0.42, "dim": 0.58, "track": 0.78, "rule": 0.8}
_ATTRIBUTES = {"bold", "italic", "underline", "reverse", "strike"}


class Looks:
    """The styles of one theme; made anew when the theme changes."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._colours = _resolve(variables)
        self.style = lru_cache(maxsize=2048)(self._style)

    def _style(self, names: str, base: str = "") -> Style:
        """The style of space-separated look names, over the row look `base` (`selected`, `head` ...)."""
        style = Style(color=self._colours["text"].rich_color)
        for name in (*base.split(), *names.split()):
            if name in _ATTRIBUTES:
                style += Style.parse(name)
            elif name.startswith("on-"):
                style += Style(bgcolor=self._colours[name].rich_color)
            elif name.startswith("@"):
                style += Style.from_meta({"@click": name[1:].replace("~", " ")})
            elif name in _SHADES and self._colours[name].ansi is not None:
                style += Style(dim=True)
            elif name in self._colours:
                style += Style(color=self._colours[name].rich_color)
        return style

    def strip(self, line: Line, cells: int, base: str = "") -> Strip:
        """`line` as a strip of exactly `cells` cells. Whatever is not printable by now is removed here."""
        segments = [
            Segment(text if text.isprintable() else line_text(text), self.style(look, base))
            for text, look in line
            if text
        ]
        return Strip(segments).adjust_cell_length(cells, self.style("", base))


def _resolve(variables: Mapping[str, str]) -> dict[str, Color]:
    def colour(*names: str) -> Color:
        for name in names:
            try:
                return Color.parse(variables[name])
            except (KeyError, ValueError):  # missing, or relative to a background ("auto 60%")
                continue
        return Color.parse("#808080")

    fore, back = colour("foreground"), colour("background")
    colours = {name: colour(*names) for name, names in _COLOURS.items()}
    if fore.ansi is None and back.ansi is None:
        colours |= {name: fore.blend(back, share) for name, share in _SHADES.items()}
    else:
        colours |= dict.fromkeys(_SHADES, fore)
    for name in ("decode", "reused", "lane.main"):
        colours[f"area.{name}"] = colours[name] if back.ansi is not None else colours[name].blend(back, 0.42)
    primary = colour("primary")
    flat = back.ansi is not None
    for name, share in (("selected", 0.22), ("resting", 0.1)):
        own = f"ac-{name}" in variables
        mixed = colour("panel") if flat else back.blend(primary, share)
        colours[f"on-{name}"] = colour(f"ac-{name}") if own else mixed
    colours["on-panel"] = colour("panel", "surface")
    colours["on-accent"] = colours["accent"]
    colours["back"] = back
    return colours
