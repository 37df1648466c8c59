"""The level of a line that a program wrote to stderr: by its first word, else by what it says."""

from __future__ import annotations

import re
from typing import Literal

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")

_NAMED: dict[str, Level] = {
    "DEBUG": "debug",
    "INFO": "info",
    "WARNING": "warning",
    "WARN": "warning",
    "ERROR": "error",
    "CRITICAL": "error",
    "FATAL": "error",
}
# Python's logging and uvicorn, as the engine and its libraries use them.
_LEVEL = re.compile(r"\s*\[?(DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\]?:?\s+")
# The logger of a line of ours: a module, which says nothing to people.
_MODULE = re.compile(r"(engine|proxy|tui|anyclaude)(\.\w+)*: ")
_READ = 160  # characters at the start of a line that are looked at
_BAD = re.compile(r"\b(error|exception|fatal|panic|abort(ed)?|segmentation fault)\b", re.IGNORECASE)
_DOUBTFUL = re.compile(r"\bwarn(ing)?\b|\w+Warning\b", re.IGNORECASE)
_RAISED = re.compile(r"[\w.]+(Error|Exception|Interrupt|Exit)\b")
TRACEBACK = "Traceback (most recent call last)"


def level_of(line: str) -> Level:
    """The level of one line alone."""
    if named := _LEVEL.match(line):
        return _NAMED[named[1]]
    start = line[:_READ]
    if TRACEBACK in start or _RAISED.match(start) or _BAD.search(start):
        return "error"
    return "warning" if _DOUBTFUL.search(start) else "info"


def without_level(line: str) -> str:
    """The line without its level, which has a column of its own, and without the name of a module of ours."""
    level = _LEVEL.match(line)
    if level is None:
        return line
    module = _MODULE.match(line, level.end())
    return line[(module or level).end() :]


class LineLevels:
    """Levels of the lines of one program, in order: a traceback is an error down to its last line."""

    def __init__(self) -> None:
        self._in_traceback = False

    def of(self, line: str) -> Level:
        """The level of the next line."""
        if TRACEBACK in line[:_READ]:
            self._in_traceback = True
            return "error"
        if self._in_traceback:
            # What was raised stands at the margin, below the indented frames, and ends the traceback.
            self._in_traceback = line.startswith((" ", "\t")) and not _LEVEL.match(line)
            if self._in_traceback or _RAISED.match(line):
                return "error"
        return level_of(line)
