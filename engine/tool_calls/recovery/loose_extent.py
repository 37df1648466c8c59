"""The end of brackets that may contain broken JSON or Python, found without parsing it."""

from __future__ import annotations

import re

_OUTSIDE = re.compile(r"[\"'{}\[\]()\n]|[^\s\"'{}\[\]()]+")
_OPEN, _CLOSE = frozenset("{[("), frozenset("}])")


class LooseExtent:
    """Follows brackets and both kinds of quotes; a blank line outside of strings ends unclosed brackets."""

    def __init__(self) -> None:
        self.depth = 0
        self.begun = False
        self.quote = ""
        self._escaped = False
        self._blank = False  # only blanks since the last line break

    def feed(self, text: str, at: int = 0) -> int | None:
        """Take text from `at` on; returns the end of the extent in it, None if it does not end."""
        while at < len(text):
            if self._escaped:
                self._escaped = False
                at += 1
            elif self.quote:
                at = self._in_string(text, at)
            else:
                found = _OUTSIDE.search(text, at)
                if found is None:
                    return None
                if found[0] == "\n" and self._blank and self.begun:
                    return found.start()
                at = found.end()
                self._outside(found[0])
                if self.begun and not self.depth and not self.quote and found[0] in _CLOSE:
                    return at
        return None

    def _outside(self, token: str) -> None:
        self._blank = token == "\n"
        if token in ("'", '"'):
            self.quote = token
        elif token in _OPEN:
            self.begun = True
            self.depth += 1
        elif token in _CLOSE:
            self.depth -= 1

    def _in_string(self, text: str, at: int) -> int:
        found = re.compile(rf"\\|{self.quote}").search(text, at)
        if found is None:
            return len(text)
        if found[0] == "\\":
            self._escaped = True
        else:
            self.quote = ""
        return found.end()
