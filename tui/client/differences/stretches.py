"""A line of a diff as it is drawn: its words that differ, and nothing in it that cannot be seen.

Of a very long line the part around what differs is drawn. Tabs, spaces at a change and characters that a
terminal would not draw are shown where a line was changed: else both sides could look the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal

from tui.client.differences.rows import DiffRow, shared_head, shared_tail
from tui.client.figures import plural
from tui.client.wire_text import TAB, block_text

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"  # scripts without spaces between words
_TOKENS = re.compile(rf"[{_CJK}]|(?:(?![{_CJK}])\w)+|[^\S\n]+|.", re.DOTALL)
_WIDE_SPACES = re.compile("[^\\S ]")  # that count as not printable
_MOST_COMPARED = 250_000  # pairs of words
_LONG_WORD = 16  # characters that two words may share at an end
LONG = 2_000  # characters of a line, from which on a part of it is drawn
_AROUND = 240  # characters that stand the same before and behind what differs in it
_MOST_DRAWN = 4_000

Mark = Literal["", "differs", "note"]  # note: words of ours about what is not drawn
Piece = tuple[str, Mark]


@dataclass(frozen=True, slots=True)
class _Window:
    """The characters of a line that are drawn, and the words before and behind them."""

    begin: int
    end: int
    before: str = ""
    behind: str = ""


def drawn_text(row: DiffRow, side: str) -> str:
    """The line of a side as it is drawn, all its pieces together: without comparing words."""
    line = row.a if side == "a" else row.b
    if line is None:
        return row.words
    window = _windows(row)[side]
    return window.before + _text(row, line.text[window.begin : window.end]) + window.behind


def drawn_pieces(row: DiffRow, side: str) -> list[Piece]:
    """The line of a side in pieces, of which some differ from the other side."""
    line = row.a if side == "a" else row.b
    if line is None:
        return [(row.words, "note")] if row.words else []
    windows = _windows(row)
    own = windows[side]
    drawn: list[Piece] = [(_text(row, line.text[own.begin : own.end]), "")]
    if row.kind == "changed" and row.a is not None and row.b is not None:
        a, b = (
            one.text[windows[name].begin : windows[name].end] for name, one in (("a", row.a), ("b", row.b))
        )
        pieces = differing(a, b)[0 if side == "a" else 1]
        drawn = [(_visible(text, spaces=mark == "differs"), mark) for text, mark in pieces]
    return [(text, mark) for text, mark in [(own.before, "note"), *drawn, (own.behind, "note")] if text]


def differing(a: str, b: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts in pieces; those marked are not in the other one."""
    ours, theirs = _TOKENS.findall(a), _TOKENS.findall(b)
    shortest = min(len(ours), len(theirs))
    head = next((at for at, (x, y) in enumerate(zip(ours, theirs, strict=False)) if x != y), shortest)
    tail = 0
    while tail < shortest - head and ours[-1 - tail] == theirs[-1 - tail]:
        tail += 1
    left, right = ours[head : len(ours) - tail], theirs[head : len(theirs) - tail]
    codes: Sequence[tuple[str, int, int, int, int]] = [("replace", 0, len(left), 0, len(right))]
    if len(left) * len(right) <= _MOST_COMPARED:
        codes = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    one: list[Piece] = [("".join(ours[:head]), "")]
    other: list[Piece] = list(one)
    for tag, low, high, start, end in codes:
        x, y = "".join(left[low:high]), "".join(right[start:end])
        if tag == "equal":
            one.append((x, ""))
            other.append((y, ""))
        else:
            begin, until = _shared_ends(x, y)
            one += _parted(x, begin, until)
            other += _parted(y, begin, until)
    rest: Piece = ("".join(ours[len(ours) - tail :]), "")
    return list(_merged([*one, rest])), list(_merged([*other, rest]))


def _shared_ends(a: str, b: str) -> tuple[int, int]:
    """How much of two differing stretches is the same at their ends, where that is long: encoded data."""
    head = shared_head(a, b)
    head = head if head >= _LONG_WORD else 0
    tail = shared_tail(a[head:], b[head:])
    return head, tail if tail >= _LONG_WORD else 0


def _parted(text: str, head: int, tail: int) -> list[Piece]:
    end = len(text) - tail
    return [(text[:head], ""), (text[head:end], "differs"), (text[end:], "")]


def _merged(pieces: list[Piece]) -> Iterator[Piece]:
    """Pieces without empty ones; a space between two that differ is taken for one that does."""
    kept = [piece for piece in pieces if piece[0]]
    marks = [mark for _, mark in kept]
    for at in range(1, len(kept) - 1):
        if kept[at - 1][1] == kept[at + 1][1] == "differs" and not kept[at][0].strip():
            marks[at] = "differs"
    for mark, group in groupby(zip(kept, marks, strict=True), lambda pair: pair[1]):
        yield "".join(piece[0] for piece, _ in group), mark


def _windows(row: DiffRow) -> dict[str, _Window]:
    """What is drawn of each side's line."""
    a, b = (line.text if line is not None else "" for line in (row.a, row.b))
    if row.kind != "changed":
        return {"a": _beginning(a), "b": _beginning(b)}
    if max(len(a), len(b)) <= LONG:
        return {"a": _Window(0, len(a)), "b": _Window(0, len(b))}
    head = shared_head(a, b)
    tail = shared_tail(a[head:], b[head:])
    begin = max(0, head - _AROUND)
    before = f"… {plural(begin, 'equal character')} … " if begin else ""
    return {name: _around(text, begin, before, len(text) - tail) for name, text in (("a", a), ("b", b))}


def _beginning(text: str) -> _Window:
    if len(text) <= _MOST_DRAWN:
        return _Window(0, len(text))
    return _Window(0, _MOST_DRAWN, behind=f" … {plural(len(text) - _MOST_DRAWN, 'more character')}")


def _around(text: str, begin: int, before: str, differs_until: int) -> _Window:
    end = min(len(text), differs_until + _AROUND, begin + _MOST_DRAWN)
    rest = len(text) - end
    equal = "equal" if differs_until <= end else "more"
    return _Window(begin, end, before, f" … {plural(rest, f'{equal} character')}" if rest else "")


def _text(row: DiffRow, text: str) -> str:
    if row.kind == "changed" or text.isprintable():
        return _visible(text)
    return _WIDE_SPACES.sub(" ", block_text(text))


def _visible(text: str, *, spaces: bool = False) -> str:
    """`text` with names for the characters that are not drawn; with `spaces` signs for those, too.

    Both take the same cells, so that a line is as long as its pieces.
    """
    if not text.isprintable():
        text = "".join(
            character if character.isprintable() or character == "\t" else _name(character)
            for character in text
        )
        text = text.replace("\t", "→" + TAB[1:] if spaces else TAB)
    return text.replace(" ", "·") if spaces and not text.strip(" ") else text


def _name(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
