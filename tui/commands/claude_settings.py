"""The settings overlay of one session: a private file for `--settings`, deleted at the end of the session.

The user's own settings files do not change.
"""

from __future__ import annotations

import json
import os
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
        _remove_left_behind(folder)
        write_private(path, json.dumps(settings).encode())
    except OSError as error:
        raise CommandFailed(ExitCode.USAGE, f"{path} cannot be written: {error.strerror or error}") from None
    try:
        yield [OPTION, str(path), *arguments]
    finally:
        path.unlink(missing_ok=True)


def _remove_left_behind(folder: Path) -> None:
    """Remove the overlays of sessions that were killed: a token may be in them."""
    for path in folder.glob("claude-settings-*.json"):
        pid = path.stem.rsplit("-", 1)[-1]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            path.unlink(missing_ok=True)
