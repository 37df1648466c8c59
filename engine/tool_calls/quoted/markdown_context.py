"""Where an answer's text quotes instead of acting: in Markdown code, in quotations and in comments."""

from __future__ import annotations

import re
from typing import Literal

_STEP = re.compile(r"[^`~\s<>!-]+|[`~\s<>!-]")
_CODE_COLUMNS = 4
_SHORTEST_FENCE = 3

MarkdownPlace = Literal["", "code span", "fence", "indented code", "comment", "quotation"]


class MarkdownContext:
    """Follows an answer's text character by character; `place` says what the next one stands in.

    A fence is closed as in CommonMark: by a line of nothing but at least as many of the same characters. A
    code span ends with its line at the latest, so that a single backtick affects no more than the rest of a
    line.
    """

    def __init__(self) -> None:
        self.line_start = True  # only blanks since the last line break, or since a call
        self.at_start = True  # only blanks since the beginning, or since a thought
        self.paragraph = 0  # the number of empty lines so far
        self._column = 0
        self._quotation = False  # this line is quoted
        self._said = False  # text other than white space came
        self._blank_line = True
        self._code_line = False
        self._code_may_follow = False  # after a blank line or code; not at the answer's start
        self._fence = ""  # the characters that opened it
        self._fence_opens = False  # in this line
        self._fence_closes = False  # if nothing else is in this line
        self._span = 0  # the number of backticks that opened it
        self._comment = False
        self._comment_in_line = False  # it follows words in its line
        self._run = ""  # the backticks or tildes at the end of the text
        self._before_run = ("", 0, False)  # fence, span, and whether the run begins its line
        self._last = ""

    @property
    def place(self) -> MarkdownPlace:
        if self._comment:
            return "comment"
        if self._fence and not self._fence_closes:
            return "fence"
        if self._quotation:
            return "quotation"
        if self._span:
            return "code span"
        indented = self.line_start and self._code_may_follow and self._column >= _CODE_COLUMNS
        return "indented code" if indented or self._code_line else ""

    @property
    def last_letter(self) -> str:
        """The last character, line breaks included; empty at the beginning."""
        return self._last[-1:]

    def feed(self, text: str) -> None:
        for letters in _STEP.findall(text):
            self._take(letters)

    def restart(self) -> None:
        """A thought stands here: what follows is the start of the answer's text."""
        self.skip_call()
        self.at_start = True

    def skip_call(self) -> None:
        """A call stands here; another call may follow it."""
        self.line_start, self._column, self.at_start = True, 0, False
        self._said, self._blank_line, self._code_line = True, False, False
        self._fence = "" if self._fence_closes else self._fence
        self._fence_opens = self._fence_closes = False
        self._span, self._run, self._last = 0, "", ""

    def _take(self, letters: str) -> None:
        """Take one letter, or several that have no meaning here."""
        if letters == "\n":
            self._end_line()
        elif letters.isspace():
            self._run = ""
            self._column += _CODE_COLUMNS - self._column % _CODE_COLUMNS if letters == "\t" else 1
        else:
            self._code_line = self.place == "indented code"
            quoted = (
                letters == ">" and self.line_start and not (self._fence or self._comment or self._code_line)
            )
            self._quotation = self._quotation or quoted
            self.at_start = False
            if letters in "`~" and not self._comment and not self._code_line:
                self._take_run(letters)
            else:
                self._run = ""
                self._fence_closes = False
            if letters == "<" and not self._comment:
                self._comment_in_line = not self.line_start
            self.line_start = self._blank_line = False
            self._said = True
        self._last = (self._last + letters)[-4:]
        self._take_comment()

    def _end_line(self) -> None:
        if self._fence_closes:
            self._fence = ""
        self.paragraph += self._blank_line
        if self._blank_line and self._comment_in_line:
            self._comment = False
        self._quotation = False
        self._code_may_follow = self._code_line or (self._blank_line and self._said)
        self.line_start = self._blank_line = True
        self._fence_opens = self._fence_closes = self._code_line = False
        self._column, self._span, self._run = 0, 0, ""

    def _take_run(self, letter: str) -> None:
        """Backticks or tildes: update what they mean if the run ends with this one."""
        if not self._run.startswith(letter):
            if self._fence_opens and letter == "`" and self._fence.startswith(letter):
                # The line that opens a fence has no further backtick: this was a code span.
                self._fence, self._span, self._fence_opens = "", len(self._fence), False
            self._run = ""
            self._before_run = (self._fence, self._span, self.line_start)
        self._run += letter
        fence, span, at_start = self._before_run
        self._fence_closes = False
        if fence:
            self._fence_closes = at_start and self._run.startswith(fence)
        elif at_start and len(self._run) >= _SHORTEST_FENCE:
            self._fence, self._span, self._fence_opens = self._run, 0, True
        elif letter == "`":
            self._span = 0 if span == len(self._run) else span or len(self._run)

    def _take_comment(self) -> None:
        if self._comment:
            self._comment = not self._last.endswith("-->")
        elif self._last.endswith("<!--"):
            self._comment = self.place == ""
