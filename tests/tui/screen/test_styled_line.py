"""Styled lines: exact widths, truncation, alignment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.screen.styled_line import (
    Line,
    fit,
    label_rows,
    line_width,
    plain_text,
    side_by_side,
    spread,
    wrapped,
    wrapped_within,
)

SPANS: st.SearchStrategy[Line] = st.lists(
    st.tuples(st.text("ab 全é", max_size=8), st.sampled_from(["", "muted"])), max_size=6
)


@given(SPANS, st.integers(0, 30), st.sampled_from(["left", "right"]))
def test_a_fitted_line_has_exactly_its_width(line: Line, cells: int, align: str) -> None:
    assert line_width(fit(line, cells, align)) == cells


def test_a_truncated_line_ends_with_an_ellipsis_unless_only_blanks_are_lost() -> None:
    assert plain_text(fit([("abc", ""), ("def", "")], 5)) == "abcd…"
    assert plain_text(fit([("abc", ""), ("def", "")], 3)) == "ab…"
    assert plain_text(fit([("abc", ""), ("   ", "")], 3)) == "abc"
    assert plain_text(fit([("7", "")], 3, "right")) == "  7"


def test_lines_that_are_too_wide_go_on_below_in_their_styles() -> None:
    line: Line = [("no trace of this request; ", "bad"), ("the disk is full", "muted")]
    told = wrapped([line, []], 20)
    read = [plain_text(part).rstrip() for part in told]
    assert read == ["no trace of this", "request; the disk is", "full", ""]
    assert told[1] == [("request; ", "bad"), ("the disk is ", "muted")]


def test_two_blocks_are_laid_out_side_by_side() -> None:
    lines = side_by_side([[("a", "")]], [[("b", "")], [("c", "")]], 3, 1)
    assert [plain_text(line) for line in lines] == ["a   b", "    c"]


def test_labelled_rows_are_aligned_and_empty_ones_left_out() -> None:
    lines = label_rows([("pid", [("12", "")]), ("last exit", []), ("uptime", [("4s", "")])], 20)
    assert [plain_text(line).rstrip() for line in lines] == ["pid     12", "uptime  4s"]


def test_the_left_part_is_truncated_when_there_is_no_room() -> None:
    assert plain_text(spread([("a long title", "")], [("note", "")], 14)) == "a long t… note"


def test_what_has_no_room_gives_way_blank_lines_first_and_says_so() -> None:
    lines: list[Line] = [[("one", "")], [], [("two three", "")], [], [("four", "")]]
    shown = {
        height: [plain_text(line) for line in wrapped_within(lines, 9, height)] for height in range(1, 6)
    }
    assert shown[5] == ["one", "", "two three", "", "four"]
    assert shown[4] == ["one", "", "two three", "four"]
    assert shown[3] == ["one", "two three", "four"]
    assert shown[2] == ["one", "two th… …"]
    assert shown[1] == ["one …"]
