"""The words of a line that differ, and that nothing that differs looks the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.client.differences.rows import DiffLine, DiffRow
from tui.client.differences.stretches import LONG, Piece, differing, drawn_pieces, drawn_text
from tui.client.wire_text import block_text

TEXTS = st.text(st.sampled_from("ab1 _\t.日本\u200b\x1b\xa0\u0301🏳\ufe0f"), max_size=30)


def changed(a: str, b: str) -> DiffRow:
    return DiffRow("changed", DiffLine(1, a), DiffLine(1, b))


def marked(pieces: list[Piece]) -> str:
    return "".join(f"[{text}]" if mark == "differs" else text for text, mark in pieces)


@pytest.mark.parametrize(
    ("a", "b", "was", "now"),
    [
        ("branch: main", "branch: json-export", "branch: [main]", "branch: [json-export]"),
        ("one two three", "one 2 3 three", "one [two] three", "one [2 3] three"),
        ("a b c d", "a x y d", "a [b c] d", "a [x y] d"),  # the space between is no island
        ("修复日期解析器", "修复时间解析器", "修复[日期]解析器", "修复[时间]解析器"),
        ("same", "same", "same", "same"),
        ("", "new", "", "[new]"),
        ("f(a, b)", "f(a, c)", "f(a, [b])", "f(a, [c])"),
        ("x" * 40 + "1" + "y" * 40, "x" * 40 + "2" + "y" * 40, *(f"{'x' * 40}[{n}]{'y' * 40}" for n in "12")),
    ],
)
def test_the_words_that_differ_are_marked(a: str, b: str, was: str, now: str) -> None:
    one, other = differing(a, b)
    assert (marked(one), marked(other)) == (was, now)


@given(TEXTS, TEXTS)
def test_pieces_are_the_whole_line_and_take_the_cells_of_it(a: str, b: str) -> None:
    row = changed(a, b)
    for side in "ab":
        pieces = drawn_pieces(row, side)
        whole = drawn_text(row, side)
        assert len("".join(text for text, _ in pieces)) == len(whole)
        assert whole == "".join(text.replace("→   ", "    ").replace("·", " ") for text, _ in pieces)
        assert whole.isprintable()


@given(TEXTS, TEXTS)
def test_lines_that_differ_never_look_the_same(a: str, b: str) -> None:
    drawn = [drawn_pieces(changed(a, b), side) for side in "ab"]
    assert (drawn[0] == drawn[1]) == (a == b)


@pytest.mark.parametrize(
    ("a", "b", "was", "now"),
    [
        ("\tx", "    x", "[→   ]x", "[····]x"),
        ("end", "end ", "end", "end[·]"),
        ("a\u200bb", "ab", "[a\\u200bb]", "[ab]"),
        ("a\x1b[31mb", "ab", "[a\\x1b[31mb]", "[ab]"),
        ("a\xa0b", "a b", "a[\\xa0]b", "a[·]b"),
    ],
)
def test_what_cannot_be_seen_is_drawn_where_it_differs(a: str, b: str, was: str, now: str) -> None:
    row = changed(a, b)
    assert (marked(drawn_pieces(row, "a")), marked(drawn_pieces(row, "b"))) == (was, now)


def test_of_a_long_line_the_part_around_what_differs_is_drawn() -> None:
    row = changed("x " * 5_000 + "old" + " y" * 5_000, "x " * 5_000 + "new" + " y" * 5_000)
    text = drawn_text(row, "a")
    assert "old" in text
    assert len(text) < LONG
    assert text.startswith("… 9,760 equal characters … ")
    assert text.endswith(" … 9,760 equal characters")
    assert [piece for piece in drawn_pieces(row, "b") if piece[1] == "differs"] == [("new", "differs")]


def test_a_long_line_of_one_side_says_how_much_follows() -> None:
    row = DiffRow("apart", b=DiffLine(1, "x" * 10_000))
    assert drawn_text(row, "b").endswith("x … 6,000 more characters")
    assert drawn_text(row, "a") == ""


def test_what_is_the_same_is_drawn_as_everywhere() -> None:
    line = DiffLine(1, "\ta\x1b[31mb\xa0c")
    assert drawn_text(DiffRow("same", line, line), "a") == block_text(line.text).replace("\xa0", " ")
