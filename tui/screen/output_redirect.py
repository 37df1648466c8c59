"""Keeps the terminal for the screen: redirects other output on file descriptors 1 and 2 to a file."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.process.private_files import open_private


class _Terminal(io.TextIOWrapper):
    """The terminal, which knows whether a write to it is waiting: a thread of Textual's writes."""

    waiting = False

    def write(self, text: str) -> int:
        self.waiting = True
        try:
            return super().write(text)
        finally:
            self.waiting = False

    def flush(self) -> None:
        self.waiting = True
        try:
            super().flush()
        finally:
            self.waiting = False


def is_writing(file: object) -> bool:
    """Whether a thread waits for a terminal of ours to take what it writes."""
    return isinstance(file, _Terminal) and file.waiting


@contextmanager
def redirect_output(log_path: Path | None) -> Iterator[None]:
    """Give Textual a duplicate of the terminal, and point file descriptors 1 and 2 at `log_path`.

    Textual draws on `sys.__stderr__` and asks `sys.__stdout__` for the terminal's size; both become the
    duplicate. Everything is restored at the end.
    """
    saved = sys.__stdout__, sys.__stderr__
    for stream in (*saved, sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    kept = [os.dup(1), os.dup(2)]
    # The terminal is known to be behind 1: `anyclaude-tui 2>file` must not draw into the file.
    terminal = _Terminal(os.fdopen(os.dup(1), "wb"), encoding="utf-8", errors="replace")
    log = open_private(log_path or Path(os.devnull), "ab")
    try:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
        sys.__stdout__ = sys.__stderr__ = terminal  # type: ignore[misc]
        yield
    finally:
        sys.__stdout__, sys.__stderr__ = saved  # type: ignore[misc]
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        for number, descriptor in zip((1, 2), kept, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        log.close()
        terminal.close()
