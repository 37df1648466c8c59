"""The end of a JSON object in streamed text."""

from __future__ import annotations

import re

_IN_STRING = re.compile(r'["\\]')
_OUTSIDE = re.compile(r'["\\{}\[\]]')  # a quote behind a backslash begins no string


class JsonExtent:
    """Follows only strings and brackets; a parser checks the whole text later."""

    def __init__(self) -> None:
        self.begun = False
        self.done = False
        self.in_string = False
        self._escaped = False
        self._depth = 0

    def feed(self, text: str) -> int:
        """Take more text; returns how much of it belongs to the object: all of it unless `done`."""
        at = 0
        self.begun = self.begun or bool(text)
        while at < len(text):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            found = (_IN_STRING if self.in_string else _OUTSIDE).search(text, at)
            if found is None:
                return len(text)
            at = found.end()
            match found[0]:
                case '"':
                    self.in_string = not self.in_string
                case "\\":
                    self._escaped = True
                case "{" | "[":
                    self._depth += 1
                case _:
                    self._depth -= 1
                    if self._depth <= 0:
                        self.done = True
                        return at
        return at
