"""Whether the terminal's background is light: for a theme that fits it, until the user chooses one.

COLORFGBG says it where it is set. Else the terminal is asked by OSC 11 (xterm's control sequences), with a
request for its attributes behind it: a terminal that does not know the first question answers the second.
"""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Mapping

ANSWER_S = 0.5  # that an answer may take: over ssh, or by a terminal that has much to draw
_ASK = b"\x1b]11;?\x1b\\\x1b[c"
_COLOUR = re.compile(rb"\x1b\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")
_END = re.compile(rb"\x1b\[\?[0-9;]*c")
_LIGHT = 0.5  # of the sum of light from which on a background is light


def light_background(environ: Mapping[str, str] = os.environ, *, answer_s: float = ANSWER_S) -> bool | None:
    """Whether the background is light; None where nothing tells."""
    colours = environ.get("COLORFGBG", "").rpartition(";")[2]
    if colours.isdecimal():
        return int(colours) in (7, *range(9, 16))  # white, and the bright ones
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    return _is_light(_answer(sys.stdin.fileno(), sys.stdout.fileno(), answer_s))


def _answer(read_from: int, write_to: int, answer_s: float) -> bytes:
    """What the terminal answers; it is left as it was, and a late answer is dropped where it can be."""
    before = termios.tcgetattr(read_from)
    answer = b""
    try:
        tty.setcbreak(read_from)
        os.write(write_to, _ASK)
        ends = time.monotonic() + answer_s
        while not _END.search(answer):
            ready, _, _ = select.select([read_from], [], [], max(0.0, ends - time.monotonic()))
            if not ready or not (piece := os.read(read_from, 1024)):
                break
            answer += piece
    except OSError:
        return b""
    finally:
        termios.tcsetattr(read_from, termios.TCSAFLUSH, before)
    return answer


def _is_light(answer: bytes) -> bool | None:
    found = _COLOUR.search(answer)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue >= _LIGHT)
