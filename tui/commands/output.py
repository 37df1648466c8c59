"""Writes data to stdout, whose reader may close it early."""

from __future__ import annotations

import os
import shutil
import sys


def write_data(text: str) -> None:
    """Write `text`; a closed pipe is not an error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_unwritable_stdout()


def terminal_columns() -> int:
    """How many cells a line on stdout has; 0 where it goes to a file or a pipe, whose lines stay whole."""
    return shutil.get_terminal_size((0, 0)).columns


def open_closed_streams() -> None:
    """Open /dev/null for each standard stream that the caller has closed, as with `>&-`.

    Else Python has None for it, and the first file that is opened gets its number, and what is printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - to the end


def discard_unwritable_stdout() -> None:
    """Redirect a closed stdout to /dev/null, so that the interpreter's last flush does not fail."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
