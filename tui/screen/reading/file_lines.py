"""A file as a tool returns it: with the number of each line before it, and at times a note behind it.

Claude Code 2.1.332 writes `12`, a tab, the line; the versions before 2.1.330 wrote `    12→` in front, and
its Read tool names `:` as a third form. `cat -n` and `nl` write six cells for the number and a tab. A tab may
have become four blanks (`block_text`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count, takewhile

from tui.client.wire_text import line_text

_FIRST = re.compile(r"( *\d{1,9})(→|:|\t| {4})")
_CAT_CELLS = 6  # of a number
# What the client says of a part of a file, or the record of a call about a long result.
_NOTE = re.compile(
    r"\s*(?:<system-(?P<tag>message|reminder)>(?P<said>.*)</system-(?P=tag)>"
    r"|(?P<cut>\[… \d+ more characters; [^\n]*\]))\s*",
    re.DOTALL,
)


@dataclass(frozen=True)
class FileLines:
    """The lines without their numbers, the number of the first, and the note behind them."""

    text: str
    first: int
    note: str = ""


def lines_read(text: str) -> FileLines | None:
    """What Claude Code's Read tool returned of a file; None: not lines with numbers in order alone."""
    if (found := _FIRST.match(text)) is None:
        return None
    return _numbered(text, int(found[1]), found[2])


def lines_shown(text: str) -> FileLines | None:
    """What `cat -n` printed of a file, of which it takes two lines to tell; None: something else."""
    if (found := _FIRST.match(text)) is None or found[2] in "→:" or "\n" not in text:
        return None
    if len(found[1]) != max(_CAT_CELLS, len(found[1].lstrip(" "))):
        return None
    return _numbered(text, int(found[1]), found[2])


def _numbered(text: str, first: int, separator: str) -> FileLines | None:
    lines = text.split("\n")
    heads = (f"{number}{separator}" for number in count(first))
    bare = ((line.lstrip(" "), head) for line, head in zip(lines, heads, strict=False))
    found = [
        line.removeprefix(head) for line, head in takewhile(lambda both: both[0].startswith(both[1]), bare)
    ]
    behind = lines[len(found) :]
    following = str(first + len(found))
    if behind and following.startswith(number := behind[0].strip()):  # also a part of it: a text may be cut
        # The blanks behind the number of an empty line are removed at the end of a text.
        found, behind = [*found, ""] if number == following else found, behind[1:]
    if not behind:
        return FileLines("\n".join(found), first)
    note = _NOTE.fullmatch("\n".join(behind))
    return FileLines("\n".join(found), first, line_text(note["said"] or note["cut"])) if note else None
