"""Marks are found wherever the text is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.answers.marker_scanner import MarkerScanner

MARKS = st.lists(st.text("ab<", min_size=1, max_size=4), max_size=4)


def scan(marks: list[str], pieces: list[str]) -> list[tuple[str, str | None]]:
    """Everything up to each mark, joined over the pieces; what is left at the end comes last."""
    scanner = MarkerScanner(marks)
    found: list[tuple[str, str | None]] = []
    text = ""
    for number, piece in enumerate([*pieces, ""]):
        for before, mark in scanner.feed(piece, final=number == len(pieces)):
            text += before
            if mark is not None:
                found.append((text, mark))
                text = ""
    return [*found, (text, None)]


@given(MARKS, st.lists(st.text("ab<c", max_size=5)))
def test_what_is_found_does_not_depend_on_the_pieces(marks: list[str], pieces: list[str]) -> None:
    assert scan(marks, pieces) == scan(marks, ["".join(pieces)])


@given(MARKS, st.lists(st.text("ab<c", max_size=5)))
def test_no_letter_is_lost_and_no_mark_is_left_in_the_text(marks: list[str], pieces: list[str]) -> None:
    found = scan(marks, pieces)
    assert "".join(before + (mark or "") for before, mark in found) == "".join(pieces)
    assert not any(mark in before for before, _ in found for mark in marks)


@given(MARKS, st.text("ab<c", max_size=12))
def test_the_leftmost_mark_wins_and_of_several_at_a_place_the_shortest(marks: list[str], text: str) -> None:
    [(before, mark), *_] = MarkerScanner(marks).feed(text, final=True)
    places = [(text.find(one), one) for one in sorted(marks, key=len) if one in text]
    first = min(places, key=lambda place: place[0], default=(len(text), None))
    assert (len(before), mark) == first


def test_text_passes_at_once_unless_a_mark_may_have_begun() -> None:
    scanner = MarkerScanner(["<stop>"])
    assert list(scanner.feed("hello <st")) == [("hello ", None)]
    assert list(scanner.feed("ay")) == [("<stay", None)]
    assert list(scanner.feed(" <stop> gone")) == [(" ", "<stop>"), (" gone", None)]


def test_a_mark_of_any_length_costs_no_more_than_its_length() -> None:
    mark = "a" * 200_000
    scanner = MarkerScanner([mark, "b"])
    assert list(scanner.feed("x" + mark[:-1])) == [("x", None)]
    assert list(scanner.feed("a!")) == [("", mark), ("!", None)]
