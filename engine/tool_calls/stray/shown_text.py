"""Where an answer shows text instead of acting: in Markdown's code and quotations, and in comments."""

from __future__ import annotations

import re
from typing import Literal

_PLAIN = re.compile(r"[^`~\s<>!-]+")
_CODE_COLUMNS = 4
_SHORTEST_FENCE = 3

Place = Literal["", "code span", "fence", "indented code", "comment", "quotation"]


class ShownText:
    """Follows an answer's text letter by letter; after each, `place` says what the next one stands in.

    A fence is closed as CommonMark has it: by a line with nothing but at least as many of the same letters. A
    code span ends with its line at the latest, so that a lone backtick hides no more than the rest of a line.
    """

    def __init__(self) -> None:
        self.line_start = True  # nothing but blanks since the last line end, or since a call
        self.said_nothing = True  # but blanks, since the beginning or since a thought
        self.paragraph = 0  # how many empty lines stand before
        self._column = 0
        self._quotation = False  # this line is quoted
        self._said = False  # there was more than white space
        self._blank_line = True
        self._code_line = False
        self._code_may_follow = False  # behind a blank line or more code; not at the answer's start
        self._fence = ""  # the letters that have opened it
        self._fence_opens = False  # in this line
        self._fence_closes = False  # if nothing else stands in this line
        self._span = 0  # how many backticks have opened it
        self._comment = False
        self._comment_in_line = False  # words stand before it
        self._run = ""  # the backticks or tildes that stand last
        self._before_run = ("", 0, False)  # fence, span, and whether the run stands at a line's start
        self._last = ""

    @property
    def place(self) -> Place:
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
        """What stands last, a line end included; empty at the beginning."""
        return self._last[-1:]

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            plain = _PLAIN.match(text, at)
            at = plain.end() if plain else at + 1
            self._take(plain[0] if plain else text[at - 1])

    def begin_again(self) -> None:
        """A thought stands here: what follows is the beginning of what is said."""
        self.pass_call()
        self.said_nothing = True

    def pass_call(self) -> None:
        """A call stands here, which is no text: what follows it may be another one."""
        self.line_start, self._column, self.said_nothing = True, 0, False
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
            self.said_nothing = False
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
        """Backticks or tildes: with each, what they mean if the run of them ends with it."""
        if not self._run.startswith(letter):
            if self._fence_opens and letter == "`" and self._fence.startswith(letter):
                # No backtick may follow in the line that opens a fence of them: it was a code span.
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
