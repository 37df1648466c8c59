"""Where an answer quotes code or a text, by rules that are simple enough for a grammar.

A backtick opens a code span, and the next one or the end of the line closes it. A line of three backticks or
more opens a fence, and a line with nothing else closes it. A line that begins with `>` is a quotation.
`CodePlaces` follows these rules character by character, and `place_terminals` expresses them as a grammar:
`engine.constrained.answer_grammar` constrains calls at the same places where `engine.answers.reader` reads
them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from engine.tool_calls.schemas.lark_text import literal

_FENCE, _INDENT = 3, 3
_STEP = re.compile(r"[^`\n> ]+|[`\n> ]")

_PLACES = "\n".join(
    [
        r"CODE_LINE: /(?:[^`\n]|`[^`\n]*`)*(?:`[^`\n]*)?\n/ & ~/ {0,3}(?:>|```+[^`\n]*\n)(?s:.*)/",
        r"CODE_QUOTE: / {0,3}>[^\n]*\n/",
        r"CODE_SHUT: / {0,3}```+[ \t]*\n/",
        r"CODE_FENCE: / {0,3}```+[^`\n]*\n/ (/[^\n]*\n/ & ~CODE_SHUT)* CODE_SHUT",
        r"CODE_LINES: (CODE_LINE | CODE_QUOTE | CODE_FENCE)*",
        r"CODE_SPANS: /(?:[^`\n]|`[^`\n]*`)*/ & ~/ {0,3}>(?s:.*)/",
    ]
)


def place_terminals(borders: Sequence[str]) -> str:
    """Terminals for Lark: after an `OUTSIDE` text, the next character is in no code and no quotation.

    `LINE_START` is such a text whose last line is blank so far. Each of `borders`, marks between messages,
    starts the rules anew.
    """
    if not borders:
        return f"{_PLACES}\nOUTSIDE: CODE_LINES CODE_SPANS\nLINE_START: CODE_LINES /[ \\t]*/"
    marks = " | ".join(literal(mark) for mark in borders)
    within = "& ~(/(?s:.*)/ CODE_BORDER /(?s:.*)/)"
    return "\n".join(
        [
            _PLACES,
            f"CODE_BORDER: {marks}",
            "CODE_BEFORE: (/(?s:.*)/ CODE_BORDER)?",
            "CODE_TEXT: CODE_LINES CODE_SPANS",
            f"CODE_LAST: CODE_TEXT {within}",
            "OUTSIDE: CODE_BEFORE CODE_LAST",
            "CODE_BLANK: CODE_LINES /[ \\t]*/",
            f"CODE_START: CODE_BLANK {within}",
            "LINE_START: CODE_BEFORE CODE_START",
        ]
    )


class CodePlaces:
    """Follows a text in pieces of any size; `inside` says where its next character is."""

    def __init__(self) -> None:
        self._fence = False
        self._begin_line()

    @property
    def inside(self) -> bool:
        """Whether the next character is in code or in a quotation."""
        return self._fence or self._quote or self._odd

    @property
    def line_start(self) -> bool:
        """Whether only blanks are before it in its line."""
        return self._blank

    def restart(self) -> None:
        """A call, a thought or a border stands here: the rules start anew."""
        self._fence = False
        self._begin_line()

    def feed(self, text: str) -> None:
        for letters in _STEP.findall(text):
            self._take(letters)

    def _begin_line(self) -> None:
        self._at: Literal["indent", "run", "text"] = "indent"
        self._indent = 0
        self._run = 0  # number of backticks at the start of the line
        self._more = False  # another backtick follows that run
        self._blank_behind = True  # only blanks follow that run
        self._odd = False  # a code span is open
        self._quote = False
        self._blank = True

    def _take(self, letters: str) -> None:
        """One character with a meaning here, or several without one."""
        if letters == "\n":
            fenced = self._run >= _FENCE and not self._more
            self._fence = not (fenced and self._blank_behind) if self._fence else fenced
            self._begin_line()
            return
        if letters == " " and self._at == "indent":
            self._indent += 1
            self._at = "indent" if self._indent <= _INDENT else "text"
            return
        if letters == "`":
            self._odd = not self._odd
            self._more = self._more or self._at == "text"
            if self._at != "text":
                self._at, self._run = "run", self._run + 1
        else:
            self._quote = self._quote or (letters == ">" and self._at == "indent")
            self._blank_behind = self._blank_behind and not letters.strip(" \t")
            self._at = "text"
        self._blank = self._blank and not letters.strip(" \t")
