"""Maps true colours to 256 or 16 terminal colours with readable text.

Terminal.app before macOS 26 has 256 colours, and so has tmux without COLORTERM. Rich maps each colour
separately and turns dark blues into black, navy or teal, so that text and background are too similar. Here
the background is chosen first, then the text colour for it. A Linux console, or TERM=xterm, has 16 colours.
With NO_COLOR (no-color.org) there are none.
"""

from __future__ import annotations

from functools import lru_cache
from math import dist

from rich.color import Color as RichColor
from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from textual.color import Color
from textual.filter import LineFilter

CONTRAST = 4.5
"""Contrast of text to its background: WCAG 2.2, success criterion 1.4.3."""

RGB = tuple[int, int, int]

# The user sets the first 16. The others are the same everywhere: a cube of 6 shades, and 24 greys.
_FIRST = 16
_CUBE = (0, 95, 135, 175, 215, 255)
_COLOURS: list[RGB] = [(red, green, blue) for red in _CUBE for green in _CUBE for blue in _CUBE]
_COLOURS += [(grey, grey, grey) for grey in range(8, 239, 10)]

# The 16 of most terminals. Bright black is for lines only: some palettes use it as the background.
_OWN = [RichColor.from_ansi(place).get_truecolor(DEFAULT_TERMINAL_THEME) for place in range(_FIRST)]
_BLACK, _GREY, _BRIGHT_BLACK, _WHITE = 0, 7, 8, 15
_GREYISH = 24  # of 255 between the parts of a colour: above it a colour, which means more than a grey
_FAINT_TEXT, _FAINT_LINE = 7.0, 2.5  # contrast below which text and lines are faint on purpose
_RAISED = 1.25  # visible contrast of a background: above it for the selected line, below it for a panel

# At equal distance, the colour of the same hue is more similar: grey text must not turn green.
_HUE_WEIGHT = 3


class In256Colours(LineFilter):
    """Maps true colours to those of a terminal with 256 colours; the user's 16 stay unchanged.

    Text gets at least a contrast of `CONTRAST`. Lines, bars and graphs keep their contrast up to that limit,
    because they may be dim on purpose.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        under = background.rich_color
        return [
            Segment(text, _style(style, under, _is_drawing(text)) if style is not None else None, None)
            for text, style, _ in segments
        ]


class In16Colours(LineFilter):
    """Maps true colours to the 16 of any terminal: a black or white background, grey for the selected line.

    Text gets at least a contrast of `CONTRAST`, in the usual palette.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        under = background.rich_color
        return [
            Segment(text, _style_of_16(style, under, _is_drawing(text)) if style is not None else None, None)
            for text, style, _ in segments
        ]


class WithoutColours(LineFilter):
    """Leaves attributes alone: grey text is faint, and what has a background of its own is reversed.

    Textual's own filter for NO_COLOR turns colours into greys, which are colours to a terminal too.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        under = background.rich_color
        return [
            Segment(
                text, _style_without(style, under, _is_drawing(text)) if style is not None else None, None
            )
            for text, style, _ in segments
        ]


def contrast(one: RGB, other: RGB) -> float:
    """The contrast of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio")."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@lru_cache(4096)
def _style(style: Style, under: RichColor, drawing: bool) -> Style:
    back = style.bgcolor if style.bgcolor is not None and not style.bgcolor.is_default else under
    fore = style.color
    changed_back = _nearest(back)
    if fore is None or fore.type is not ColorType.TRUECOLOR:
        return style + Style(bgcolor=changed_back)
    triplet, on = _rgb(fore), _rgb(changed_back)
    wanted = min(CONTRAST, contrast(triplet, _rgb(back))) if drawing else CONTRAST
    return style + Style(color=_colour(_readable(triplet, on, wanted)), bgcolor=changed_back)


@lru_cache(4096)
def _style_of_16(style: Style, under: RichColor, drawing: bool) -> Style:
    back = style.bgcolor if style.bgcolor is not None and not style.bgcolor.is_default else under
    place = back.number
    if back.type is ColorType.TRUECOLOR:
        ground = _BLACK if _luminance(_rgb(under)) < _luminance(_OWN[_BRIGHT_BLACK]) else _WHITE
        place = _GREY if contrast(_rgb(back), _rgb(under)) >= _RAISED else ground
    if place is None:
        return style
    style += Style(bgcolor=RichColor.from_ansi(place))
    fore = style.color
    if fore is None or fore.type is not ColorType.TRUECOLOR:
        return style
    wanted = min(CONTRAST, contrast(_rgb(fore), _rgb(back))) if drawing else CONTRAST
    fitting = [
        one
        for one, colour in enumerate(_OWN)
        if (drawing or one != _BRIGHT_BLACK) and contrast(colour, _OWN[place]) >= wanted
    ]
    here = _seen(_rgb(fore))
    return style + Style(
        color=RichColor.from_ansi(min(fitting, key=lambda one: dist(here, _seen(_OWN[one]))))
    )


@lru_cache(4096)
def _style_without(style: Style, under: RichColor, drawing: bool) -> Style:
    plain, fore, back = style.without_color, style.color, style.bgcolor
    if back is not None and back.type is ColorType.TRUECOLOR:
        if contrast(_rgb(back), _rgb(under)) >= _RAISED:
            return plain + Style(reverse=not style.reverse, dim=False)
        under = back
    if fore is None or fore.type is not ColorType.TRUECOLOR or under.type is not ColorType.TRUECOLOR:
        return plain
    shade = _rgb(fore)
    is_grey = max(shade) - min(shade) <= _GREYISH
    faint = is_grey and contrast(shade, _rgb(under)) < (_FAINT_LINE if drawing else _FAINT_TEXT)
    return plain + Style(dim=True) if faint else plain


def _nearest(colour: RichColor) -> RichColor:
    """The nearest of the 256 colours; a terminal colour stays unchanged."""
    return _colour(_readable(_rgb(colour), (0, 0, 0), 1)) if colour.type is ColorType.TRUECOLOR else colour


@lru_cache(4096)
def _readable(colour: RGB, on: RGB, wanted: float) -> int:
    """The palette index of the nearest colour with at least the contrast `wanted` to `on`.

    There is one for each ratio up to 4.58: to any colour, black or white has that contrast.
    """
    fitting = [place for place, known in enumerate(_COLOURS) if contrast(known, on) >= wanted]
    here = _seen(colour)
    return min(fitting, key=lambda place: dist(here, _seen(_COLOURS[place])))


def _colour(place: int) -> RichColor:
    return RichColor.from_ansi(_FIRST + place)


def _rgb(colour: RichColor) -> RGB:
    red, green, blue = colour.get_truecolor(DEFAULT_TERMINAL_THEME)
    return red, green, blue


@lru_cache(4096)
def _luminance(colour: RGB) -> float:
    red, green, blue = _linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@lru_cache(4096)
def _seen(colour: RGB) -> tuple[float, float, float]:
    """A colour in a perceptual space: lightness and weighted hue (Oklab, by Björn Ottosson, 2020)."""
    red, green, blue = _linear(colour)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    middle = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        _HUE_WEIGHT * (1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short),
        _HUE_WEIGHT * (0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short),
    )


def _linear(colour: RGB) -> tuple[float, float, float]:
    """The three parts as shares of light (the inverse of sRGB's transfer function)."""
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (part / 255 for part in colour)
    )
    return red, green, blue


@lru_cache(4096)
def _is_drawing(text: str) -> bool:
    """Whether a text has only lines, blocks and dots (U+2500 to U+259F, braille)."""
    return all(character in " ·" or "─" <= character <= "▟" or "⠀" <= character <= "⣿" for character in text)
