"""What a terminal answers late, to a question about itself, is no key.

Textual takes an answer that it does not know for keys: a colour (OSC 11) that comes a second late over ssh
would open the filter and type into it, and attributes (DA) would open help.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.message import Message

_ANSWERS = re.compile(
    r"\x1b\]\d{1,4};[^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[?>=][0-9;]*c|\x1bP[>!01][^\x1b]*\x1b\\"
)
_BEGUN = re.compile(r"\x1b(?:\]\d{1,4}(?:;[^\x07\x1b]*\x1b?)?|\[[?>=][0-9;]*|P[>!01][^\x1b]*\x1b?)\Z")
_REST_S = 0.5  # that the rest of an answer may take; behind that its beginning is all there is
_LONGEST = 4096  # characters of one


class AnswerlessParser(XTermParser):
    """Textual's reader of keys and mouse, which does not see answers of the terminal."""

    clock: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._begun = ""
        self._begun_at = 0.0

    def feed(self, data: str) -> Iterable[Message]:
        """What `data` means; an empty text is the end of all."""
        if not data:
            return super().feed(data)
        keys = self._without_answers(data)
        return super().feed(keys) if keys else ()

    def parse_mouse_code(self, code: str) -> Message | None:
        """Where a press was; in cells, if the terminal does not say how many pixels it has."""
        if self.terminal_pixel_size is not None and not all(self.terminal_pixel_size):
            self.mouse_pixels = False
        return super().parse_mouse_code(code)

    def _without_answers(self, data: str) -> str:
        now = self.clock()
        begun = self._begun if now - self._begun_at <= _REST_S else ""
        keys = _ANSWERS.sub("", begun + data)
        found = _BEGUN.search(keys, max(0, len(keys) - _LONGEST))
        self._begun, self._begun_at = (found[0], now) if found else ("", 0.0)
        return keys[: found.start()] if found else keys


def ignore_terminal_answers() -> None:
    """From now on a terminal's answers are no keys."""
    vars(linux_driver)["XTermParser"] = AnswerlessParser
