"""The marks around calls, of all families."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MARK = (
    r"<[|｜][^<>\n]{1,60}[|｜]>|<(?:start|end)_function_call>"
    r"|</?(?:\w+[:_])?(?:tool_calls?|TOOLCALL|function_calls?|tools|tool_code|tool_use|calls?)>"
    r"|\[/?(?:TOOL_CALLS?|ARGS|TOOL_REQUEST|END_TOOL_REQUEST)\]"
)
_FENCE_START = re.compile(r"```[\w-]*[ \t]*(?:\n|(?=[{\[<]))")
_FENCE_END = re.compile(r"```\Z")
_LAYOUT = re.compile(rf"(?:\s|<\|start\|>assistant|{_MARK})*")


def layout_end(text: str) -> int:
    """The length of the white space and marks at the start of a text."""
    found = _LAYOUT.match(text)
    assert found is not None
    return found.end()


def without_marks(raw: str, openings: Sequence[str]) -> tuple[str, bool, bool]:
    """The text without the marks and fences around it; whether it had a fence, whether a mark ended it."""
    mark = re.compile("|".join([*(re.escape(opening) for opening in openings), _MARK]))
    at_end = re.compile(rf"(?:{mark.pattern})\Z")
    start, end, fenced, ended = 0, len(raw), False, False
    while True:
        start = _behind_space(raw, start)
        found = mark.match(raw, start) or _FENCE_START.match(raw, start)
        if found is None:
            break
        fenced = fenced or found[0].startswith("`")
        start = found.end()
    while True:
        end = _before_space(raw, start, end)
        found = at_end.search(raw, max(start, end - 100), end)
        if found is None and fenced:
            found = _FENCE_END.search(raw, max(start, end - 3), end)
        if found is None:
            break
        end, ended = found.start(), True
    return raw[start:end], fenced, ended


def _behind_space(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _before_space(text: str, start: int, end: int) -> int:
    while end > start and text[end - 1].isspace():
        end -= 1
    return end


def mark_parts(text: str, openings: Sequence[str]) -> list[str]:
    """The texts between the marks."""
    mark = "|".join([*(re.escape(opening) for opening in openings), _MARK])
    return [part.strip() for part in re.split(mark, text) if part.strip()]
