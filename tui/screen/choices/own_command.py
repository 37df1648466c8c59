"""The command that starts this program with the options of this screen, for texts that name one to type."""

from __future__ import annotations

_NAME = "anyclaude-tui"
# As the user's keys: that of the whole process, as the program's own name is.
_started_with = [_NAME]


def take_command(program: str) -> None:
    """From now on name `program`, a command line that works in another terminal; empty: by its name alone."""
    _started_with[0] = program or _NAME


def own_command(words: str) -> str:
    """The command line of `words`, such as `traces list`."""
    return f"{_started_with[0]} {words}"
