"""Marks in streamed text."""

from __future__ import annotations

from collections.abc import Sequence


def partial_mark_start(text: str, marks: Sequence[str]) -> int:
    """The first position from which the rest of `text` is the beginning of a mark; else its length."""
    longest = max(map(len, marks))
    for at in range(max(0, len(text) - longest + 1), len(text)):
        if any(mark.startswith(text[at:]) for mark in marks):
            return at
    return len(text)
