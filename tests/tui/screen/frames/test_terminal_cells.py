"""What is written for a changed picture leaves the terminal as Textual's own, longer text would."""

from __future__ import annotations

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.screen.frames.terminal_cells import TerminalCells

WIDTH, HEIGHT = 12, 2
STYLES = [
    None,
    *map(Style.parse, ("red", "bold red on #102030", "#c0ffee on #102030", "italic", "reverse")),
    *map(Style.parse, ("underline red", "bold underline", "strike bold #c0ffee on #102030")),
]

segments = st.lists(
    st.builds(
        Segment,
        st.text(st.sampled_from("ab ▒█✓é漢"), max_size=5),
        st.sampled_from(STYLES),
        st.none(),
    ),
    max_size=4,
)
lines = segments.map(lambda parts: Strip(parts).adjust_cell_length(WIDTH))
pictures = st.lists(lines, min_size=HEIGHT, max_size=HEIGHT)


def on_terminal(screen: pyte.Screen) -> list[list[pyte.screens.Char]]:
    return [[_seen(screen.buffer[y][x]) for x in range(WIDTH)] for y in range(HEIGHT)]


def _seen(cell: pyte.screens.Char) -> pyte.screens.Char:
    """What of a cell is seen: a blank has no colour but its background's, and is not bold."""
    if cell.data != " " or cell.underscore or cell.reverse or cell.strikethrough:
        return cell
    return pyte.screens.Char(" ", bg=cell.bg)


def textuals(picture: list[Strip]) -> str:
    drawn = (
        "".join(Strip.render_style(style or Style(), text, ColorSystem.TRUECOLOR) for text, style, _ in strip)
        for strip in picture
    )
    return "".join(f"\x1b[{y + 1};1H{line}" for y, line in enumerate(drawn))


@settings(max_examples=40)
@given(st.lists(pictures, min_size=2, max_size=3))
def test_the_terminal_shows_what_whole_lines_would_show(story: list[list[Strip]]) -> None:
    ours, theirs = pyte.Screen(WIDTH, HEIGHT), pyte.Screen(WIDTH, HEIGHT)
    our_stream, their_stream = pyte.Stream(ours), pyte.Stream(theirs)
    cells = TerminalCells(WIDTH, HEIGHT)
    for picture in story:
        our_stream.feed(
            cells.write([(0, y, strip) for y, strip in enumerate(picture)], ColorSystem.TRUECOLOR)
        )
        their_stream.feed(textuals(picture))
        assert on_terminal(ours) == on_terminal(theirs)


def line(*parts: tuple[str, str]) -> Strip:
    return Strip([Segment(text, Style.parse(style)) for text, style in parts])


def written(*story: Strip) -> list[str]:
    cells = TerminalCells(40, 1)
    return [cells.write([(0, 0, strip)], ColorSystem.TRUECOLOR) for strip in story]


def test_only_cells_and_attributes_that_change_are_written() -> None:
    before = line(("tokens ", "white on black"), ("12", "red on black"), ("  main", "bold white on black"))
    after = line(("tokens ", "white on black"), ("13", "red on black"), ("  main", "bold white on black"))
    first, second, third = written(before, after, after)
    assert first.startswith("\x1b[1;1H")
    assert second == "\x1b[1;9H\x1b[31;40m3\x1b[0m"
    assert third == ""


def test_of_a_look_only_what_differs_from_the_one_before_is_said() -> None:
    (text,) = written(
        line(
            ("a", "red on black"), ("b", "blue on black"), ("c", "bold blue on black"), ("d", "red on black")
        )
    )
    assert text == "\x1b[1;1H\x1b[31;40ma\x1b[34mb\x1b[1mc\x1b[22;31md\x1b[0m"


def test_an_attribute_is_ended_without_saying_the_colours_again() -> None:
    (text,) = written(
        line(("a", "bold underline red on black"), ("b", "bold red on black"), ("c", "red on black"))
    )
    assert text == "\x1b[1;1H\x1b[1;4;31;40ma\x1b[24;1mb\x1b[22mc\x1b[0m"


def test_a_blank_takes_the_look_of_what_is_before_it_but_for_its_background() -> None:
    first, second = written(
        line(
            ("a", "bold red on black"), (" ", "blue on black"), ("b", "bold red on black"), (" ", "on blue")
        ),
        line(
            ("a", "bold red on black"), (" ", "green on black"), ("b", "bold red on black"), (" ", "on blue")
        ),
    )
    assert first == "\x1b[1;1H\x1b[1;31;40ma b\x1b[44m \x1b[0m"
    assert second == "", "a blank of another colour looks the same"
    (lined,) = written(
        line(("a", "underline red on black"), (" ", "blue on black"), (" ", "underline blue on black"))
    )
    assert lined == "\x1b[1;1H\x1b[4;31;40ma\x1b[24m \x1b[4;34m \x1b[0m"


def test_a_few_equal_cells_between_changes_are_written_again_instead_of_a_move() -> None:
    _, near = written(line(("a--b", "red")), line(("x--y", "red")))
    _, far = written(line(("a" + 9 * "-" + "b", "red")), line(("x" + 9 * "-" + "y", "red")))
    assert near == "\x1b[1;1H\x1b[31mx--y\x1b[0m"
    assert far.count("\x1b[1;") == 2


def test_a_line_with_wide_characters_is_written_whole() -> None:
    """Terminals differ in the cells that such characters take, so no place behind one is certain."""
    _, again = written(line(("漢 a", "red")), line(("漢 b", "red")))
    assert "漢" in again


def test_what_the_terminal_forgot_is_written_anew() -> None:
    cells = TerminalCells(4, 1)
    strip = line(("same", "red"))
    first = cells.write([(0, 0, strip)], ColorSystem.TRUECOLOR)
    assert cells.write([(0, 0, strip)], ColorSystem.TRUECOLOR) == ""
    cells.forget()
    assert cells.write([(0, 0, strip)], ColorSystem.TRUECOLOR) == first
    assert cells.write([(0, 7, strip), (9, 0, strip)], ColorSystem.TRUECOLOR) == ""
