"""Text from outside, made safe to draw."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.client.wire_text import (
    block_text,
    cut,
    hanging,
    line_text,
    shorten,
    shorten_middle,
    width,
    wrap,
    wrap_lines,
)

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=200)  # lone surrogates included


@pytest.mark.parametrize(
    ("wire", "drawn"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;ZXZpbA==", ""),
        ("\x1bcreset", "reset"),
        ("\x9b2Jcleared", "cleared"),
        ("bell\x07 and \x9d C1", "bell and  C1"),
        ("\u202eevil\u202c \u2066x\u2069", "evil x"),
        ("a\u200db\ufe0f\u200b\ufeff", "ab"),
        ("hidden\U000e0041", "hidden"),
        ("\ud800 alone", "\ufffd alone"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("a\tb", "a    b"),
        ("全角 é ok", "全角 é ok"),
    ],
)
def test_nothing_that_a_terminal_would_obey_is_left(wire: str, drawn: str) -> None:
    assert block_text(wire) == drawn


@given(ANY_TEXT)
def test_what_is_left_can_be_written_and_has_no_controls(text: str) -> None:
    safe = block_text(text)
    safe.encode("utf-8")
    assert not any(ord(character) < 32 and character != "\n" for character in safe)
    assert not set(safe) & set("\x7f\x9b\u202e\u2066\u200d\ufeff")
    assert block_text(safe) == safe


@given(ANY_TEXT)
def test_a_line_is_one_line(text: str) -> None:
    line = line_text(text)
    assert "\n" not in line
    assert line == line.strip()


@given(ANY_TEXT, st.integers(1, 40))
def test_wrapping_loses_nothing_and_keeps_the_width(text: str, cells: int) -> None:
    line = line_text(text)
    parts = wrap(line, cells)
    assert "".join(parts) == line
    # A space at a break may hang over; a wide character does not fit into one cell.
    assert all(width(part.rstrip(" ")) <= max(cells, 2) for part in parts)


@given(ANY_TEXT, st.integers(1, 40))
def test_lines_are_wrapped_as_each_alone(text: str, cells: int) -> None:
    safe = block_text(text)
    assert wrap_lines(safe, cells) == [part for line in safe.split("\n") for part in wrap(line, cells)]


def test_wrapping_breaks_at_spaces_but_not_far_from_the_edge() -> None:
    assert wrap("one two three", 8) == ["one two ", "three"]
    assert wrap("a /very/long/path/without/spaces", 12)[0] == "a /very/long"
    assert wrap("全角全角", 5) == ["全角", "全角"]
    assert wrap("", 5) == [""]
    assert wrap("e\u0301e\u0301e\u0301", 3) == ["e\u0301e\u0301e\u0301"]


def test_wrapping_reads_each_character_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(character: str) -> int:
        read.append(character)
        return 2

    monkeypatch.setattr("tui.client.wire_text._width_of", counted)
    wrap("全" * 5000, 80)
    assert len(read) < 2 * 5000  # and the first of the next line once more


@given(ANY_TEXT, st.integers(5, 40), st.integers(0, 3))  # room for a wide character behind the indent
def test_a_hanging_line_fits_and_keeps_words_whole_where_asked(text: str, cells: int, indent: int) -> None:
    line = line_text(text)
    assert all(width(part) <= cells for part in hanging(line, cells, indent))
    whole = hanging(line, cells, indent, whole_words=True)
    assert " ".join(whole).split() == line.split()
    assert all(width(part) <= cells or len(part.split()) == 1 for part in whole)
    assert hanging(line, 0, indent) == [line]


@given(ANY_TEXT, st.integers(0, 40))
def test_shortening_fits(text: str, cells: int) -> None:
    line = line_text(text)
    for short in (shorten(line, cells), shorten_middle(line, cells), cut(line, cells)):
        assert width(short) <= cells
    assert width(line) == cell_len(line)


def test_shortening_shows_that_something_is_missing() -> None:
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("abcd", 4) == "abcd"
    assert shorten_middle("/home/ada/src/command.py", 13) == "/home/…and.py"
    assert line_text("x" * 3000, 10) == "x" * 10 + "…"
