"""Where the chunks of a prompt end, by position alone.

The time of a chunk grows with its tokens times those before it, since each attends to all of these. So
chunks get shorter as a prompt goes on: others then wait about as long for one far into a prompt as near its
start, and no piece of work on a GPU comes near the time after which the system ends it.

An edge is the same for every prompt and wherever its cached part ends: what is computed in other chunks can
differ in its last bits.
"""

from __future__ import annotations

VERSION = 2
"""Of this rule, to be raised with any change of the edges: what is on disk belongs to one."""

HALVED_AT = 32_768
"""The position where chunks are half as long, as they are again at twice the position, and so on."""

SMALLEST = 64
"""Tokens of the shortest chunk; shorter ones cost too much of the speed."""


def chunk_size_at(position: int, chunk: int) -> int:
    """Tokens of a chunk that begins at `position`, where one of `chunk` begins at 0."""
    size, halved_at = chunk, HALVED_AT
    while position >= halved_at and size > SMALLEST:
        size, halved_at = max(SMALLEST, size // 2), halved_at * 2
    return size


def chunk_boundaries(length: int, chunk: int) -> list[int]:
    """The positions between 0 and `length`, neither included, where a chunk ends."""
    edges: list[int] = []
    begin, size, end = 0, chunk, HALVED_AT
    while begin < length:
        edges += range(begin + size, min(end, length), size)
        if end < length:
            edges.append(end)
        begin, end = end, end * 2
        size = chunk_size_at(begin, chunk)
    return edges
