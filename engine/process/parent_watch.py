"""A child's hold on its parent: settings in over stdin, and the end of the child when stdin closes.

A pipe closes when its last writer dies, however it dies, so this also works after SIGKILL of the parent,
on every POSIX system and without polling. This module imports no mlx.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO


def read_settings(stream: TextIO | None = None) -> dict[str, Any]:
    """Read the one JSON line that the parent writes first.

    Raises:
        ValueError: the line is missing or is no JSON object.
    """
    line = (stream or sys.stdin).readline()
    if not line.strip():
        raise ValueError("no settings on stdin")
    try:
        settings = json.loads(line)
    except RecursionError:
        raise ValueError("the settings on stdin are nested too deeply") from None
    if not isinstance(settings, dict):
        raise ValueError("the settings on stdin are no JSON object")
    return settings


def watch_parent(on_gone: Callable[[], None], *, grace_s: float = 5.0, stream: TextIO | None = None) -> None:
    """Call `on_gone` once when stdin closes, and end the process if it still runs `grace_s` later."""
    source = stream or sys.stdin

    def wait() -> None:
        try:
            while source.readline():
                pass
        except (OSError, ValueError):
            pass
        end_within(grace_s)
        on_gone()

    threading.Thread(target=wait, name="parent watch", daemon=True).start()


def end_within(grace_s: float, code: int = 0) -> None:
    """End the process with `code` if it still runs `grace_s` seconds from now, whatever it waits for then."""
    ending = threading.Timer(grace_s, os._exit, args=(code,))
    ending.daemon = True
    ending.start()


def fail(message: str, code: int) -> int:
    """Say why this process ends, to people on stderr and to the parent; returns the exit code."""
    sys.stderr.write(message + "\n")  # the one line that a user reads
    announce(error=message, exit_code=code)
    return code


def announce(**fields: Any) -> None:
    """Tell the parent, as one JSON line on stdout, that this process listens, or why it cannot."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()
