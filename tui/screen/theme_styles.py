"""Style names for meanings (a lane, a state, a cache share), and the colours that a theme gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip

from tui.client.wire_text import line_text, width
from tui.screen.styled_line import Line
from tui.screen.terminal_colours import CONTRAST, contrast

# Meaning -> theme variables. Our own themes define the first; in other themes the second one is used, which
# each Textual theme has.
_COLOURS: dict[str, tuple[str, str]] = {
    "text": ("foreground", "foreground"),
    "accent": ("ac-accent", "text-accent"),
    "lane.main": ("ac-lane-main", "text-primary"),
    "lane.subagent": ("ac-lane-subagent", "text-secondary"),
    "lane.compaction": ("ac-lane-compaction", "text-accent"),
    "lane.auxiliary": ("ac-lane-auxiliary", "foreground"),
    "restored": ("ac-restored", "text-primary"),
    "prefill": ("ac-prefill", "text-warning"),
    "decode": ("ac-decode", "text-success"),
    "neutral": ("ac-neutral", "foreground"),
    "ok": ("ac-ok", "text-success"),
    "warn": ("ac-warn", "text-warning"),
    "bad": ("ac-bad", "text-error"),
    "thinking": ("ac-thinking", "text-secondary"),
    "tool": ("ac-tool", "text-accent"),
}
# `area.` and a name is its colour softened, for graphs that fill an area.
# Shades between foreground and background: text by its contrast, lines by their share of the background.
_TEXT_SHADES = {"muted": 6.2, "label": 6.2, "dim": CONTRAST}
_LINE_SHADES = {"track": 0.78, "rule": 0.8}
_SHADES = {*_TEXT_SHADES, *_LINE_SHADES}
_STEPS = 64  # of a blend
_ENDS = (Color(255, 255, 255), Color(0, 0, 0))
_ATTRIBUTES = {"bold", "italic", "underline", "reverse", "strike"}


class ThemeStyles:
    """The styles of one theme; a new object for each theme."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._colours = _resolve(variables)
        self._grounds = (self._colours["back"], self._colours["on-surface"])  # without a base: panes, boxes
        self.style = lru_cache(maxsize=2048)(self._style)

    @property
    def of_text(self) -> Iterator[str]:
        """The style names for text; lines and areas may have less contrast."""
        return (
            name for name in self._colours if not _is_drawn(name) and not name.startswith(("on-", "back"))
        )

    def _style(self, names: str, base: str = "") -> Style:
        """The style of space-separated names, over the row style `base` (`on-selected`, `on-resting`)."""
        style, fore, is_line = Style(), self._colours["text"], False
        grounds: tuple[Color, ...] = self._grounds
        for name in (*base.split(), *names.split()):
            if name in _ATTRIBUTES:
                style += Style.parse(name)
            elif name.startswith("on-") and self._colours[name].a:
                style += Style(bgcolor=self._colours[name].rich_color)
                grounds = (self._colours[name],)
            elif name == "on-selected":  # a theme of terminal colours has no other background
                return style + self._reversed(names)
            elif name.startswith("@"):
                style += Style.from_meta({"@click": name[1:].replace("~", " ")})
            elif name in _SHADES and self._colours[name].ansi is not None:
                style += Style(dim=True)
            elif name in self._colours and not name.startswith("on-"):
                fore, is_line = self._colours[name], _is_drawn(name)
        if not is_line:
            for ground in grounds:
                fore = readable(fore, ground)
        return style + Style(color=fore.rich_color)

    def _reversed(self, names: str) -> Style:
        """Text of a reversed row: in its colours it would be a patchwork of backgrounds."""
        style = Style(reverse=True, color=self._colours["text"].rich_color)
        for name in names.split():
            if name in _ATTRIBUTES - {"reverse"}:
                style += Style.parse(name)
            elif name.startswith("@"):
                style += Style.from_meta({"@click": name[1:].replace("~", " ")})
        return style

    def strip(self, line: Line, cells: int, base: str = "") -> Strip:
        """`line` as a strip of exactly `cells` cells. Unprintable characters are removed."""
        segments = [
            Segment(text if text.isprintable() else line_text(text), self.style(style, base))
            for text, style in line
            if text
        ]
        missing = cells - sum(width(segment.text) for segment in segments)
        if missing > 0:
            segments.append(Segment(" " * missing, self.style("", base)))
        elif missing < 0:
            return Strip(segments).adjust_cell_length(cells)
        return Strip(segments, cells)


def _is_drawn(name: str) -> bool:
    return name in _LINE_SHADES or name.startswith("area.")


@lru_cache(maxsize=2048)
def readable(fore: Color, ground: Color) -> Color:
    """The colour, blended towards white or black until its contrast to `ground` is `CONTRAST`."""
    if fore.ansi is not None or ground.ansi is not None or contrast(fore.rgb, ground.rgb) >= CONTRAST:
        return fore
    end = max(_ENDS, key=lambda end: contrast(end.rgb, ground.rgb))
    blends = (fore.blend(end, step / _STEPS) for step in range(1, _STEPS + 1))
    return next((blend for blend in blends if contrast(blend.rgb, ground.rgb) >= CONTRAST), end)


def _faded(fore: Color, back: Color, wanted: float) -> Color:
    """The colour, blended towards the background down to a contrast of `wanted`."""
    blends = (fore.blend(back, step / _STEPS) for step in range(_STEPS, 0, -1))
    return next((blend for blend in blends if contrast(blend.rgb, back.rgb) >= wanted), fore)


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
        colours |= {name: fore.blend(back, share) for name, share in _LINE_SHADES.items()}
        colours |= {
            name: colour(f"ac-{name}") if f"ac-{name}" in variables else _faded(fore, back, wanted)
            for name, wanted in _TEXT_SHADES.items()
        }
    else:
        colours |= dict.fromkeys(_SHADES, fore)
    for name in ("decode", "restored", "lane.main", "ok"):
        colours[f"area.{name}"] = colours[name] if back.ansi is not None else colours[name].blend(back, 0.42)
    primary = colour("primary")
    flat = back.ansi is not None
    for name, share in (("selected", 0.22), ("resting", 0.1)):
        own = f"ac-{name}" in variables
        mixed = colour("panel") if flat else back.blend(primary, share)
        colours[f"on-{name}"] = colour(f"ac-{name}") if own else mixed
    colours["on-surface"] = colour("surface", "background")
    colours["on-panel"] = colour("panel", "surface")
    colours["on-accent"] = colours["accent"]
    colours["back"] = back
    return colours
