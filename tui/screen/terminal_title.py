"""The terminal's title, by OSC 2. The user's own is restored at the end, by the stack of titles (XTWINOPS).

A terminal without that stack gets an empty title at the end, which stands for its default.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TextIO

from textual.driver import Driver

from tui.client.wire_text import line_text

_SAVE, _RESTORE = "\x1b[22;2t", "\x1b]2;\x07\x1b[23;2t"
_WITHOUT = frozenset({"", "dumb", "linux"})  # values of TERM


def has_title(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal has a title: a Linux console has none."""
    return environ.get("TERM", "") not in _WITHOUT


class TerminalTitle:
    """Sets the title; the same text is written once. `environ` is the terminal's."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._shown = ""
        self._there = has_title(environ)

    def show(self, text: str, driver: Driver | None) -> None:
        """Set the title to `text`, of which control characters are removed."""
        if text != self._shown and self._there and driver is not None and not driver.is_headless:
            self._shown = text
            driver.write(f"\x1b]2;{line_text(text, 200)}\x07")


@contextmanager
def kept_title(terminal: TextIO | None, environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Restore the title at the end, however that comes; a terminal that is gone by then is let be."""
    if terminal is None or not has_title(environ):
        yield
        return
    _write(terminal, _SAVE)
    try:
        yield
    finally:
        _write(terminal, _RESTORE)


def _write(terminal: TextIO, sequence: str) -> None:
    with suppress(OSError, ValueError):
        terminal.write(sequence)
        terminal.flush()
