"""Lines that differ: nothing is lost, and few lines are called different that are not."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import unified_diff

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.traces.analysis.comparing import line_diff
from proxy.traces.analysis.comparing.line_diff import unified_lines

LINES = st.lists(st.sampled_from("abcdefgh"), max_size=30)


def sides(lines: Sequence[str], a: Sequence[str]) -> tuple[list[str], list[str]]:
    """Both texts, as the diff has them; what it leaves out is taken from A."""
    ours: list[str] = []
    theirs: list[str] = []
    for line in lines:
        if line.startswith("@@"):
            begin, _, size = line.split()[1][1:].partition(",")
            upto = int(begin) - (1 if size != "0" else 0)
            theirs += a[len(ours) : upto]
            ours += a[len(ours) : upto]
            continue
        ours += [line[1:]] if line[0] in " -" else []
        theirs += [line[1:]] if line[0] in " +" else []
    return ours + list(a[len(ours) :]), theirs + list(a[len(ours) :])


@given(LINES, LINES, st.sampled_from([0, 9, 1_000]))
def test_each_side_is_whole(a: list[str], b: list[str], small: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_diff, "_SMALL", small)  # so that short texts are parted at their anchors too
        assert sides(unified_lines(a, b), a) == (a, b)


@given(LINES)
def test_the_same_has_no_lines(a: list[str]) -> None:
    assert unified_lines(a, a) == []


@pytest.mark.parametrize("changed", [[5_000], range(0, 10_000, 100), range(3, 10_000, 10)])
def test_many_changes_in_a_long_text_are_those_that_difflib_finds(changed: Sequence[int]) -> None:
    a = [f"line {number}" if number % 3 else "}" for number in range(10_000)]
    b = list(a)
    for number in changed:
        b[number] = f"changed {number}"
    found = unified_lines(a, b)
    assert [line for line in found if line[0] in "+-"] == [
        sign + text[number] for number in changed for sign, text in (("-", a), ("+", b))
    ]


def test_it_is_written_as_a_unified_diff() -> None:
    a, b = list("abcdefghij"), list("abXdefghijk")
    assert unified_lines(a, b) == list(unified_diff(a, b, lineterm="", n=line_diff.CONTEXT))[2:]
