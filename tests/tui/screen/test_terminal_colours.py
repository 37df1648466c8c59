"""On a terminal with 256 colours each theme can be read, and the whole screen with it."""

from __future__ import annotations

import io
import itertools
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color as RichColor
from rich.color import ColorSystem, ColorType
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from tests.tui.commands.test_screen import ENTERS_ALTERNATE_SCREEN, LEAVES_ALTERNATE_SCREEN, terminal
from tests.tui.scripted_host import scripted_host
from tests.tui.stage import loaded
from tests.tui.trace_samples import SampleHost, summaries
from tests.tui.traffic import Morning
from tui.client.records import Link
from tui.screen.app import ControlCenter
from tui.screen.terminal_colours import CONTRAST, RGB, In16Colours, In256Colours, contrast
from tui.screen.theme_styles import ThemeStyles
from tui.screen.themes import DAY, NIGHT, OWN_THEMES

THEMES = {theme.name: theme for theme in (*OWN_THEMES, *BUILTIN_THEMES.values())}
KEYBOARD_PROTOCOL = rb"\x1b\[[<>=?][0-9;]*u"  # pyte takes its end for text
colours = st.tuples(*[st.integers(0, 255)] * 3)


def variables(theme: Theme) -> dict[str, str]:
    return theme.to_color_system().generate() | theme.variables


def shown(colour: RichColor | None) -> RGB:
    """What a terminal with 256 colours shows for a colour."""
    assert colour is not None
    red, green, blue = colour.downgrade(ColorSystem.EIGHT_BIT).get_truecolor(DEFAULT_TERMINAL_THEME)
    return red, green, blue


def own(colour: RichColor | None) -> RGB:
    """What a terminal with true colour shows for a colour."""
    assert colour is not None
    red, green, blue = colour.get_truecolor(DEFAULT_TERMINAL_THEME)
    return red, green, blue


@pytest.mark.parametrize("name", [name for name, theme in THEMES.items() if not theme.ansi])
def test_each_style_is_readable_on_each_background(name: str) -> None:
    styles = ThemeStyles(variables(THEMES[name]))
    back = Color.parse(variables(THEMES[name])["background"])
    bases = [name for name in styles._colours if name.startswith("on-")]
    for meaning, base in itertools.product(styles.of_text, ["", *bases]):
        (drawn,) = styles.strip([("text", meaning)], 4, base).apply_filter(In256Colours(), back)
        assert drawn.style is not None
        assert contrast(shown(drawn.style.color), shown(drawn.style.bgcolor)) >= CONTRAST, (meaning, base)


@pytest.mark.parametrize("name", [name for name, theme in THEMES.items() if not theme.ansi])
def test_in_true_colour_too_each_style_is_readable_on_each_background(name: str) -> None:
    styles = ThemeStyles(variables(THEMES[name]))
    plain = [Color.parse(variables(THEMES[name])[ground]) for ground in ("background", "surface")]
    for meaning in styles.of_text:
        for base in ("", "on-selected", "on-resting", "on-panel"):
            style = styles.style(meaning, base)
            grounds = (
                [style.bgcolor] if style.bgcolor is not None else [ground.rich_color for ground in plain]
            )
            for ground in grounds:
                assert contrast(own(style.color), own(ground)) >= CONTRAST, (meaning, base)


@pytest.mark.parametrize("name", [name for name, theme in THEMES.items() if theme.ansi])
def test_in_the_terminals_own_colours_the_selected_line_is_turned_round(name: str) -> None:
    styles = ThemeStyles(variables(THEMES[name]))
    for base, turned in (("", None), ("on-resting", None), ("on-selected", True)):
        style = styles.style("text", base)
        assert (style.bgcolor, style.reverse) == (None, turned)


@pytest.mark.parametrize("theme", [NIGHT, DAY], ids=lambda theme: theme.name)
def test_dim_styles_have_less_contrast_in_steps(theme: Theme) -> None:
    styles = ThemeStyles(variables(theme))
    back = Color.parse(variables(theme)["background"]).rich_color
    steps = [
        contrast(own(styles.style(style).color), own(back)) for style in ("text", "muted", "dim", "track")
    ]
    assert all(before > after + 1 for before, after in itertools.pairwise(steps)), steps


@pytest.mark.parametrize("name", [name for name, theme in THEMES.items() if not theme.ansi])
def test_the_selected_line_stands_out(name: str) -> None:
    styles = ThemeStyles(variables(THEMES[name]))
    back = Color.parse(variables(THEMES[name])["background"])
    grounds = {
        base: next(iter(styles.strip([("x", "")], 1, base).apply_filter(In256Colours(), back))).style
        for base in ("", "on-selected")
    }
    assert grounds[""] is not None
    assert grounds["on-selected"] is not None
    assert grounds[""].bgcolor != grounds["on-selected"].bgcolor


@pytest.mark.parametrize("theme", [NIGHT, DAY], ids=lambda theme: theme.name)
@pytest.mark.parametrize("base", ["", "on-selected", "on-resting", "on-panel"])
def test_with_16_colours_each_style_is_readable_and_the_selected_line_visible(
    theme: Theme, base: str
) -> None:
    styles = ThemeStyles(variables(theme))
    back = Color.parse(variables(theme)["background"])
    for meaning in styles.of_text:
        (drawn,) = styles.strip([("text", meaning)], 4, base).apply_filter(In16Colours(), back)
        assert drawn.style is not None
        assert drawn.style.color is not None
        assert drawn.style.bgcolor is not None
        assert drawn.style.color.type is drawn.style.bgcolor.type is ColorType.STANDARD
        assert contrast(own(drawn.style.color), own(drawn.style.bgcolor)) >= CONTRAST, meaning
        assert (drawn.style.bgcolor.number == 7) is (base == "on-selected")


@given(colours, colours, colours)
def test_any_colour_has_one_of_16(fore: RGB, back: RGB, under: RGB) -> None:
    style = Style(color=RichColor.from_rgb(*fore), bgcolor=RichColor.from_rgb(*back))
    text, line = In16Colours().apply([Segment("a b", style), Segment("──", style)], Color(*under))
    assert text.style is not None
    assert line.style is not None
    assert contrast(own(text.style.color), own(text.style.bgcolor)) >= CONTRAST


@given(colours, colours)
def test_any_text_can_be_read_and_what_is_drawn_is_as_plain_as_in_true_colour(fore: RGB, back: RGB) -> None:
    style = Style(color=RichColor.from_rgb(*fore), bgcolor=RichColor.from_rgb(*back), bold=True)
    text, line = In256Colours().apply([Segment("a b", style), Segment("──", style)], Color(0, 0, 0))
    assert (text.text, line.text) == ("a b", "──")
    assert text.style is not None
    assert line.style is not None
    assert text.style.bold
    assert contrast(shown(text.style.color), shown(text.style.bgcolor)) >= CONTRAST
    assert contrast(shown(line.style.color), shown(line.style.bgcolor)) >= min(CONTRAST, contrast(fore, back))


@given(st.integers(0, 15), st.integers(0, 15))
def test_the_colours_that_the_user_chose_for_the_terminal_stay(fore: int, back: int) -> None:
    style = Style(color=RichColor.from_ansi(fore), bgcolor=RichColor.from_ansi(back))
    for fewer in (In16Colours(), In256Colours()):
        (drawn,) = fewer.apply([Segment("a", style)], Color(0, 0, 0))
        assert drawn.style == style


def test_contrast_is_as_wcag_counts_it() -> None:
    assert contrast((255, 255, 255), (0, 0, 0)) == pytest.approx(21)
    assert contrast((0x77, 0x77, 0x77), (255, 255, 255)) == pytest.approx(4.48, abs=0.005)
    assert contrast((10, 20, 30), (10, 20, 30)) == 1


def pieces(app: ControlCenter, *, all_of_it: bool = True) -> Iterator[tuple[str, Style]]:
    """What is on the screen; not `all_of_it`: without what is faded on purpose, behind a dialog."""
    behind = app.screen.is_modal and not all_of_it
    box = app.screen.children[-1].region if behind else app.screen.region
    for row, strip in enumerate(app.screen._compositor.render_strips()):
        for text, style, _ in strip.crop(box.x, box.right) if box.y <= row < box.bottom else ():
            if text.strip() and style is not None:
                yield text, style


def busy(app: ControlCenter, morning: Morning) -> None:
    app.client = SampleHost(summaries(morning))
    for arrival in morning.arrivals():
        app.inbox.put(arrival)
    app.inbox.put(Link("live"))


@pytest.mark.parametrize(
    ("theme", "colours"),
    [
        *itertools.product([NIGHT.name, DAY.name], ["standard", "256", "truecolor"]),
        ("nord", "256"),
        ("solarized-light", "256"),
    ],
)
async def test_all_text_of_every_pane_can_be_read(
    theme: str, colours: Literal["standard", "256", "truecolor"]
) -> None:
    morning = Morning().play()
    app = ControlCenter(clock=lambda: morning.now)
    app.console = Console(color_system=colours, file=io.StringIO(), force_terminal=True)
    seen_as = shown if colours == "256" else own
    app.theme = theme
    busy(app, morning)
    seen = 0
    async with app.run_test(size=(120, 40)) as pilot:
        for key in (
            "up",
            "2",
            "3",
            "4",
            "r",
            "escape",
            "5",
            "enter",
            "tab",
            "question_mark",
            "escape",
            "ctrl+p",
        ):
            await pilot.press(key)
            for _ in range(2):
                app.frame()
                await pilot.pause()
                await loaded(app)
            for text, style in pieces(app, all_of_it=colours != "truecolor"):
                if any(character.isalnum() for character in text):
                    seen += 1
                    ratio = contrast(seen_as(style.color), seen_as(style.bgcolor))
                    assert ratio >= CONTRAST, (key, text, style)
    assert seen > 500


async def test_a_terminal_with_true_colour_gets_the_themes_own_colours() -> None:
    app = ControlCenter(clock=lambda: 0.0)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        grounds = {style.bgcolor.name for _, style in pieces(app) if style.bgcolor is not None}
    assert NIGHT.background in grounds


@pytest.mark.parametrize("kind", ["tmux-256color", "screen-256color", "xterm-256color"])
def test_a_terminal_that_does_not_say_truecolor_gets_a_screen_that_can_be_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COLORTERM", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(name, raising=False)
    with scripted_host() as host, terminal(tmp_path, "--attach", host.url, TERM=kind) as command:
        command.until(b"Tiny")
        command.process.send_signal(signal.SIGTERM)
        command.end()
    drawn = command.drawn.split(ENTERS_ALTERNATE_SCREEN)[1].split(LEAVES_ALTERNATE_SCREEN)[0]
    screen = pyte.Screen(80, 24)
    pyte.ByteStream(screen).feed(re.sub(KEYBOARD_PROTOCOL, b"", drawn))
    letters = [cell for line in screen.buffer.values() for cell in line.values() if cell.data.isalnum()]
    assert len(letters) > 50
    for cell in letters:
        assert contrast(rgb(cell.fg), rgb(cell.bg)) >= CONTRAST, cell


def rgb(colour: str) -> RGB:
    """A colour as pyte tells it: six hex digits."""
    red, green, blue = bytes.fromhex(colour)
    return red, green, blue
