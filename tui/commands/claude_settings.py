"""The settings overlay of one session: a private file for `--settings`, deleted at the end of the session.

The user's own settings files do not change.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from engine.process.private_files import write_private
from tui.commands import auto_mode
from tui.commands.claude_environment import ClaudeEnvironment
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.settings_merge import SettingsConflict, merged
from tui.commands.user_settings import OPTION

REFRESH_S = 5  # the speed of an answer changes while it is written
_OF_A_PROCESS = re.compile(r"[a-z-]+-([0-9]{1,10})\.json")
_LARGEST_PID = 2**31 - 1  # asking the system for a larger one raises OverflowError


@contextmanager
def overlay(
    environment: ClaudeEnvironment,
    theirs: Mapping[str, Any],
    arguments: Sequence[str],
    *,
    folder: Path,
    status_line: str = "",
) -> Iterator[list[str]]:
    """Client arguments with the overlay in front: the user's settings `theirs`, with ours merged over them.

    The client accepts only one `--settings`, so both must be in one file. `status_line` is the command of a
    status line, which takes the place of one in the user's files, but not of one in `theirs`.

    Raises:
        CommandFailed: the user's settings conflict with ours, or the overlay cannot be written.
    """
    ours = environment.settings(auto_mode=auto_mode.is_requested(arguments))
    if status_line and "statusLine" not in theirs:
        ours["statusLine"] = {"type": "command", "command": status_line, "refreshInterval": REFRESH_S}
    try:
        settings = merged(theirs, ours)
    except SettingsConflict as conflict:
        raise CommandFailed(
            ExitCode.USAGE, f"{OPTION}: {conflict}; Claude Code would ignore all of it"
        ) from None
    path = folder / f"claude-settings-{os.getpid()}.json"
    try:
        for left in left_behind(folder):
            left.unlink(missing_ok=True)
        write_private(path, json.dumps(settings).encode())
    except OSError as error:
        raise CommandFailed(ExitCode.USAGE, f"{path} cannot be written: {error.strerror or error}") from None
    try:
        yield [OPTION, str(path), *arguments]
    finally:
        path.unlink(missing_ok=True)


def left_behind(folder: Path, names: str = "claude-settings-*.json") -> list[Path]:
    """The files of processes that were killed; in the overlays of sessions there may be a token."""
    return [path for path in sorted(folder.glob(names)) if _is_of_a_dead_process(path)]


def _is_of_a_dead_process(path: Path) -> bool:
    found = _OF_A_PROCESS.fullmatch(path.name)
    pid = int(found[1]) if found else 0
    return 0 < pid <= _LARGEST_PID and path.is_file() and not psutil.pid_exists(pid)
