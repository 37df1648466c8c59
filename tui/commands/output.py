"""What commands write on stdout: data, for readers that may leave before its end."""

from __future__ import annotations

import os
import sys


def write_data(text: str) -> None:
    """Write all of `text`; a reader that has left has what it wanted."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_unwritable_stdout()


def discard_unwritable_stdout() -> None:
    """Keep the interpreter from failing at its end, when it writes what is left into a closed pipe."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
