"""When Claude Code (2.1.332) compacts a conversation by itself: its window, less two reserves."""

from __future__ import annotations

OUTPUT_RESERVED = 20_000  # upper limit of the reserve for the longest answer
RESERVED = 13_000  # a further reserve


def compacts_at(window: int, output: int) -> int:
    """The tokens at which the client compacts, with answers of at most `output` tokens."""
    return window - min(output, OUTPUT_RESERVED) - RESERVED
