"""A terminal's answers are no keys, however late and in whatever pieces they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events

from tui.screen.keys.terminal_answers import AnswerlessParser

COLOUR = "\x1b]11;rgb:ffff/ffff/ffff\x1b\\"
ANSWERS = [
    COLOUR,
    "\x1b]11;rgb:ff/ff/ff\x07",
    "\x1b]4;1;rgb:q\x07",
    "\x1b[?62;4c",
    "\x1b[>0;276;0c",
    "\x1bP!|00\x1b\\",
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
