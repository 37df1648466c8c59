"""Which lines of two texts differ, quickly also for texts of megabytes.

`difflib` alone takes seconds for some ten thousand lines with a change in each tenth. So what both texts
begin and end with comes first, and the rest is parted at lines that stand once in each (as "patience diff"
does); `difflib` then has short stretches.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Literal

_Tag = Literal["replace", "delete", "insert", "equal"]
_Opcode = tuple[_Tag, int, int, int, int]
_Lines = Sequence[str]
_SMALL = 40_000  # pairs of lines that difflib may compare at once
CONTEXT = 2  # equal lines around each change


def unified_lines(a: _Lines, b: _Lines) -> list[str]:
    """The lines of a unified diff, without its head."""
    lines: list[str] = []
    for group in _Matcher(a, b).get_grouped_opcodes(CONTEXT):
        lines.append(f"@@ -{_range(group[0][1], group[-1][2])} +{_range(group[0][3], group[-1][4])} @@")
        for tag, low, high, start, end in group:
            if tag == "equal":
                lines += [f" {line}" for line in a[low:high]]
            else:
                lines += [f"-{line}" for line in a[low:high]]
                lines += [f"+{line}" for line in b[start:end]]
    return lines


class _Matcher(SequenceMatcher[str]):
    """difflib's grouping, over blocks that were found another way."""

    def __init__(self, a: _Lines, b: _Lines) -> None:
        super().__init__(None, (), ())
        self._blocks = list(_joined(_equal_blocks(a, b)))
        self._ends = len(a), len(b)

    def get_opcodes(self) -> list[_Opcode]:
        found: list[_Opcode] = []
        at_a = at_b = 0
        for begin_a, begin_b, size in [*self._blocks, (*self._ends, 0)]:
            if at_a < begin_a or at_b < begin_b:
                both = at_a < begin_a and at_b < begin_b
                tag: _Tag = "replace" if both else "delete" if at_a < begin_a else "insert"
                found.append((tag, at_a, begin_a, at_b, begin_b))
            at_a, at_b = begin_a + size, begin_b + size
            if size:
                found.append(("equal", begin_a, at_a, begin_b, at_b))
        return found


_Block = tuple[int, int, int]  # where it begins in A, in B, and its lines


def _equal_blocks(a: _Lines, b: _Lines) -> Iterator[_Block]:
    """Stretches that are equal, in order; a stack in place of recursion, whose depth a text could choose."""
    waiting = [(0, len(a), 0, len(b), True)]
    while waiting:
        low, high, start, end, compare = waiting.pop()
        if not compare:
            yield low, start, high - low
            continue
        head = _alike(a[low:high], b[start:end])
        if head:
            yield low, start, head
            low, start = low + head, start + head
        tail = _alike(a[low:high][::-1], b[start:end][::-1])
        high, end = high - tail, end - tail
        if tail:
            waiting.append((high, high + tail, end, end + tail, False))
        if low == high or start == end:
            continue
        if (high - low) * (end - start) <= _SMALL:
            matcher = SequenceMatcher(None, a[low:high], b[start:end], autojunk=False)
            yield from ((low + x, start + y, size) for x, y, size in matcher.get_matching_blocks() if size)
            continue
        anchors = _anchors(a, b, low, high, start, end)
        if anchors:  # without any they are taken for two texts that share nothing
            edges = [(low, start), *anchors, (high, end)]
            waiting += [(x, u, y, v, True) for (x, y), (u, v) in pairwise(edges)][::-1]


def _anchors(a: _Lines, b: _Lines, low: int, high: int, start: int, end: int) -> list[tuple[int, int]]:
    """Places of lines that stand once in each stretch, the most that come in the same order in both."""
    ours, theirs = Counter(a[low:high]), Counter(b[start:end])
    places = {line: at for at, line in enumerate(b[start:end], start) if theirs[line] == 1}
    pairs = [
        (at, places[line]) for at, line in enumerate(a[low:high], low) if ours[line] == 1 and line in places
    ]
    return _increasing(pairs)


def _increasing(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs whose second numbers rise too."""
    ends: list[int] = []  # the second number of the last pair of the best run of each length
    last: list[int] = []  # and which pair that is
    before: list[int] = []
    for number, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [place]
        last[length : length + 1] = [number]
    found: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        found.append(pairs[number])
        number = before[number]
    return found[::-1]


def _alike(a: _Lines, b: _Lines) -> int:
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _joined(blocks: Iterator[_Block]) -> Iterator[_Block]:
    """Blocks that follow on each other in both texts as one."""
    one: _Block | None = None
    for block in blocks:
        if one is not None and (one[0] + one[2], one[1] + one[2]) == block[:2]:
            one = (one[0], one[1], one[2] + block[2])
            continue
        if one is not None:
            yield one
        one = block
    if one is not None:
        yield one


def _range(low: int, high: int) -> str:
    """A stretch of lines as in a unified diff."""
    size = high - low
    return f"{low + 1}" if size == 1 else f"{low + 1 if size else low},{size}"
