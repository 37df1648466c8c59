"""The lines of a unified diff as rows: what stood in A beside what stands in B there.

Lines that became others are set beside each other where they are alike, in their order; a screen marks the
words in which they differ (`tui.client.differences.stretches`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Literal

from tui.client.figures import plural

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_WORDS = re.compile(r"\w+|[^\w\s]")
_ALIKE = 0.45  # of two lines' words, from which on they are one line that was changed
_LOOKED_AT = 2_000  # characters of a line that decide this
_MOST_PAIRS = 900  # of lines in one run that are compared with each other
_MOST_COMPARED = 8_000  # in a whole segment; behind them lines are paired by their place


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of one side, and its number there, from 1 on."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class DiffRow:
    """Two lines beside each other, or one alone.

    `same`: equal in both. `changed`: one line, with other words. `apart`: lines that share nothing, or one
    line alone. `note`: no lines but `words` about what is not shown.
    """

    kind: Literal["same", "changed", "apart", "note"]
    a: DiffLine | None = None
    b: DiffLine | None = None
    words: str = ""


def diff_rows(
    lines: Sequence[str], left_out: int = 0, *, command: str = "traces diff --json"
) -> list[DiffRow]:
    """The rows of a segment's `lines` (`proxy.traces.analysis.comparing.diff_facts`).

    `command` is named where lines were left out: it shows all of them.
    """
    rows = list(_rows(lines))
    if left_out:
        rows.append(DiffRow("note", words=f"… {plural(left_out, 'more line')}: {command} has all"))
    return rows


def _rows(lines: Sequence[str]) -> Iterator[DiffRow]:
    at_a = at_b = 1
    room = _MOST_COMPARED
    removed: list[DiffLine] = []
    added: list[DiffLine] = []
    for line in [*lines, ""]:  # each has a sign; the empty one ends the last run
        sign, text = line[:1], line[1:]
        if sign == "-":
            removed.append(DiffLine(at_a, text))
            at_a += 1
            continue
        if sign == "+":
            added.append(DiffLine(at_b, text))
            at_b += 1
            continue
        if removed or added:
            room -= len(removed) * len(added)
            yield from _beside(removed, added, thorough=room >= 0)
            removed, added = [], []
        if hunk := _HUNK.fullmatch(line):
            begin_a, begin_b = _begin(hunk[1], hunk[2]), _begin(hunk[3], hunk[4])
            if begin_a > at_a:
                yield DiffRow("note", words=f"⋯ {plural(begin_a - at_a, 'equal line')}")
            at_a, at_b = begin_a, begin_b
        elif line:
            yield DiffRow("same", DiffLine(at_a, text), DiffLine(at_b, text))
            at_a, at_b = at_a + 1, at_b + 1


def _begin(number: str, size: str | None) -> int:
    """The first line of a stretch; one without lines is named by the line before it."""
    return int(number) + (size == "0")


def _beside(removed: Sequence[DiffLine], added: Sequence[DiffLine], *, thorough: bool) -> Iterator[DiffRow]:
    at_a = at_b = 0
    pairs = _pairs(removed, added, thorough=thorough)
    for a, b in [*pairs, (len(removed), len(added))]:
        for one, other in zip_longest(removed[at_a:a], added[at_b:b]):
            yield DiffRow("apart", one, other)
        if a < len(removed):
            yield DiffRow("changed", removed[a], added[b])
        at_a, at_b = a + 1, b + 1


def _pairs(
    removed: Sequence[DiffLine], added: Sequence[DiffLine], *, thorough: bool
) -> list[tuple[int, int]]:
    """Places of lines that are alike, in the order of both sides; the most likeness wins."""
    if not thorough or len(removed) * len(added) > _MOST_PAIRS:
        ends = zip(removed, added, strict=False)
        return [(at, at) for at, (a, b) in enumerate(ends) if _same_ends(a.text, b.text) >= _ALIKE]
    # best[i][j]: the likeness that the first i and j lines can have.
    best = [[0.0] * (len(added) + 1)]
    taken: set[tuple[int, int]] = set()
    for i, a in enumerate(removed):
        row = [0.0]
        for j, b in enumerate(added):
            alike = _likeness(a.text, b.text)
            with_both = best[i][j] + alike if alike >= _ALIKE else 0.0
            without = max(best[i][j + 1], row[j])
            row.append(max(with_both, without))
            if with_both > without:
                taken.add((i, j))
        best.append(row)
    pairs: list[tuple[int, int]] = []
    i, j = len(removed), len(added)
    while i and j:
        if (i - 1, j - 1) in taken:
            pairs.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif best[i - 1][j] >= best[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def _likeness(a: str, b: str) -> float:
    """How much of two lines is the same, by their ends or by their words; 0 to 1."""
    ends = _same_ends(a, b)
    if ends >= _ALIKE:
        return ends
    ours, theirs = _words(a[:_LOOKED_AT]), _words(b[:_LOOKED_AT])
    number = ours.total() + theirs.total()
    return 2 * (ours & theirs).total() / number if number else 0.0


def _same_ends(a: str, b: str) -> float:
    longest = max(len(a), len(b))
    head = shared_head(a, b)
    return (head + shared_tail(a[head:], b[head:])) / longest if longest else 1.0


@lru_cache(maxsize=256)
def _words(text: str) -> Counter[str]:
    return Counter(_WORDS.findall(text))


def shared_head(a: str, b: str) -> int:
    """How many characters two texts begin with alike; halving, as slices are compared at once."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def shared_tail(a: str, b: str) -> int:
    """How many characters two texts end with alike."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle - 1
    return low
