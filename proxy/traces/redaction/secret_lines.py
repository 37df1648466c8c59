"""Lines of texts as tools print them: with numbers before them, or as one JSON text with escaped ends."""

from __future__ import annotations

import re

QUOTE = r"\\*[\"'`]"
NUMBERED = (
    r"(?:[^\s:]{1,200}[:-]\d{1,7}[:-]|[ \t]*\d{1,7}(?:→|\t|[:-]))?"  # a line's number, and a file's name
)
_HEAD = re.compile(rf"{NUMBERED}(?P<indent>[ \t]*)(?P<item>- |export[ \t]+|\|[ \t]*)?(?P<quote>{QUOTE})?")
_LONGEST_HEAD = 240
_ENDS = ("\n", "\r", "\\n")


def line_head(text: str, at: int) -> re.Match[str] | None:
    """What stands before a name on its line, if nothing but that does; lines may end in an escaped `\\n`."""
    least = max(0, at - _LONGEST_HEAD)
    ends = [found + len(mark) for mark in _ENDS if (found := text.rfind(mark, least, at)) >= 0]
    if not ends and least:
        return None
    return _HEAD.fullmatch(text, max(ends, default=0), at)


def is_in_json(text: str, head: re.Match[str]) -> bool:
    """Whether a line is a part of a JSON text, where a quote ends more than the line."""
    return bool(head["quote"]) or text.endswith("\\n", 0, head.start())
