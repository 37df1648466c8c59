"""A terminal's answers are no keys, however late and in whatever pieces they come."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual._xterm_parser import XTermParser

from tui.screen.keys.terminal_answers import AnswerlessParser

COLOUR = "\x1b]11;rgb:ffff/ffff/ffff\x1b\\"
ANSWERS = [
    COLOUR,
    "\x1b]11;rgb:ff/ff/ff\x07",
    "\x1b]4;1;rgb:q\x07",
    "\x1b[?62;4c",
    "\x1b[>0;276;0c",
    "\x1bP!|00\x1b\\",
    "\x1bP>|tmux 3.5a\x1b\\",
    "\x1bP1$r0m\x1b\\",
]


class Typed:
    """What a terminal sends in pieces, and the keys that it is."""

    def __init__(self) -> None:
        self.now = 0.0
        self.parser = AnswerlessParser()
        self.parser.clock = lambda: self.now  # type: ignore[method-assign]

    def keys(self, *pieces: str) -> list[str]:
        found = [event for piece in pieces for event in self.parser.feed(piece)]
        return [event.key for event in found if isinstance(event, events.Key)]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_between_keys_is_none(answer: str) -> None:
    assert Typed().keys(f"a{answer}b", answer, f"{answer}{answer}c") == ["a", "b", "c"]


@given(st.sampled_from(ANSWERS), st.integers(4, 40))
def test_an_answer_in_two_pieces_is_none(answer: str, at: int) -> None:
    assert Typed().keys("a", answer[:at], answer[at:] + "b") == ["a", "b"]


def test_an_answer_without_an_end_takes_no_key_that_comes_later() -> None:
    typed = Typed()
    assert typed.keys("a\x1b]11;rgb:ffff/ff") == ["a"]
    typed.now = 1.0
    assert typed.keys("q") == ["q"]


def test_keys_and_mouse_are_what_they_were() -> None:
    typed = Typed()
    assert typed.keys("\x1b[A\x1bOP\x1b[1;2C", "[c") == [
        "up",
        "f1",
        "shift+right",
        "left_square_bracket",
        "c",
    ]
    found = list(typed.parser.feed("\x1b[<0;5;6M"))
    assert any(isinstance(event, events.MouseDown) for event in found)


def test_alt_with_a_capital_p_takes_no_key_that_follows() -> None:
    typed = Typed()
    assert typed.keys("\x1bP", "a", "b", "") == Typed().keys("\x1bPab", "")


def test_a_press_is_found_where_a_terminal_does_not_know_its_pixels() -> None:
    typed = Typed()
    assert typed.keys("\x1b[48;24;80;0;0t") == []
    [press] = typed.parser.feed("\x1b[<0;5;6M")
    assert isinstance(press, events.MouseDown)
    assert (press.x, press.y) == (4, 5)


@pytest.mark.parametrize(
    "sent",
    ["\x1b[200~a\x1b[1;2Cb\x1b[201~", "\x1b[I", "\x1b[<0;5;6M", "\x1b[?2026;2$y", "\x1b[97;5u", "\x1b]"],
)
def test_all_else_comes_through_in_any_pieces(sent: str) -> None:
    """As Textual alone reads it."""

    def read(parser: XTermParser, pieces: Iterable[str]) -> list[str]:
        return [repr(event) for piece in [*pieces, ""] for event in parser.feed(piece)]

    plain = read(XTermParser(), sent)
    for at in range(1, len(sent)):
        assert read(AnswerlessParser(), [sent[:at], sent[at:]]) == plain
    assert read(AnswerlessParser(), sent) == plain
