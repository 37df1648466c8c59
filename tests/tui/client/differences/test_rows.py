"""Which lines stand beside each other: every line once, in order, with its number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.traces.analysis.comparing.line_diff import unified_lines
from tui.client.differences import rows as module
from tui.client.differences.rows import DiffLine, DiffRow, diff_rows, shared_head, shared_tail

WORDS = st.lists(st.sampled_from(["one", "two", "3", "four five", ""]), max_size=6).map(" ".join)
LINES = st.lists(WORDS, max_size=12)


def drawn(rows: list[DiffRow]) -> list[str]:
    """A row as its kind and the numbers of its lines."""
    signs = {"same": "=", "changed": "~", "apart": "|", "note": "."}
    numbers = [[line.number if line else "" for line in (row.a, row.b)] for row in rows]
    return [f"{a}{signs[row.kind]}{b}" for row, (a, b) in zip(rows, numbers, strict=True)]


@given(LINES, LINES, st.sampled_from([0, 900]))
def test_each_line_stands_once_in_its_order(a: list[str], b: list[str], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST_PAIRS", most)
        rows = diff_rows(unified_lines(a, b))
    for lines, texts in (([row.a for row in rows], a), ([row.b for row in rows], b)):
        numbers = [line.number for line in lines if line is not None]
        assert numbers == sorted(set(numbers))
        assert all(texts[line.number - 1] == line.text for line in lines if line is not None)
    equal = {(row.a.text, row.b.text) for row in rows if row.kind == "same" and row.a and row.b}
    assert all(one == other for one, other in equal)
    left = {line.text for line in (row.b for row in rows) if line} | set(a)
    assert set(b) <= left


def test_a_changed_line_stands_beside_what_it_was() -> None:
    a = ["Status:", " M src/command.py", "branch: main", "end"]
    b = ["Status:", "?? new.py", " M src/writer.py", "branch: json", "end"]
    assert drawn(diff_rows(unified_lines(a, b))) == ["1=1", "|2", "2~3", "3~4", "4=5"]


def test_lines_that_share_nothing_face_each_other_but_are_not_one_line() -> None:
    rows = diff_rows(unified_lines(["The date parser fails.", "x"], ["Write some notes", "x"]))
    assert drawn(rows) == ["1|1", "2=2"]


def test_what_is_left_out_is_counted() -> None:
    a = [str(number) for number in range(50)]
    b = [*a[:20], "new", *a[20:]]
    rows = diff_rows(unified_lines(a, b), left_out=7)
    assert rows[0].words == "⋯ 18 equal lines"
    assert drawn(rows)[1:6] == ["19=19", "20=20", "|21", "21=22", "22=23"]
    assert rows[-1].words.startswith("… 7 more lines")


def test_a_segment_of_one_side_is_numbered_from_its_first_line() -> None:
    assert diff_rows(["+user:", "+hello"]) == [
        DiffRow("apart", b=DiffLine(1, "user:")),
        DiffRow("apart", b=DiffLine(2, "hello")),
    ]


def test_a_large_rewrite_is_paired_by_place_without_comparing_each_with_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(a: str, b: str) -> float:
        raise AssertionError("words were compared")

    monkeypatch.setattr(module, "_likeness", never)
    a, b = [f"the old line {n}" for n in range(500)], [f"the old line {n}, changed" for n in range(500)]
    assert {row.kind for row in diff_rows(unified_lines(a, b))} == {"changed"}


@given(WORDS, WORDS, WORDS)
def test_shared_ends_are_as_long_as_they_are(head: str, a: str, b: str) -> None:
    one, other = head + a, head + b
    found = shared_head(one, other)
    assert one[:found] == other[:found]
    assert one[found : found + 1] != other[found : found + 1] or found == min(len(one), len(other))
    assert shared_tail(one[::-1], other[::-1]) == found
