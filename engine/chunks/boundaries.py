"""The boundaries of prefill chunks, a function of the position alone.

The time of a chunk grows with its tokens times the tokens before it, since each attends to all of these. So
chunks get shorter with the position: other requests wait about as long for a chunk far into a prompt as for
one near its start, and no GPU command comes near the watchdog's time limit.

A boundary is the same for every prompt, wherever its restored prefix ends, since other chunks can change the
last bits of the result.
"""

from __future__ import annotations

VERSION = 2
"""Raise it with any change of the boundaries: files on disk belong to one version."""

HALVED_AT = 32_768
"""The position from which chunks are half as long; they are halved again at each doubling of it."""

SMALLEST = 64
"""Tokens of the shortest chunk; shorter ones are too slow."""


def chunk_size_at(position: int, chunk: int) -> int:
    """Tokens of the chunk that begins at `position`, if the first one has `chunk` tokens."""
    size, halved_at = chunk, HALVED_AT
    while position >= halved_at and size > SMALLEST:
        size, halved_at = max(SMALLEST, size // 2), halved_at * 2
    return size


def chunk_boundaries(length: int, chunk: int) -> list[int]:
    """The positions between 0 and `length`, both excluded, where a chunk ends."""
    boundaries: list[int] = []
    begin, size, end = 0, chunk, HALVED_AT
    while begin < length:
        boundaries += range(begin + size, min(end, length), size)
        if end < length:
            boundaries.append(end)
        begin, end = end, end * 2
        size = chunk_size_at(begin, chunk)
    return boundaries
