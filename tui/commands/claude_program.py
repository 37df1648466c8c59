"""Finds Claude Code: by its given name, on the PATH, or in the folder of an installer.

Its installer uses `~/.local/bin`, earlier versions `~/.claude/local` with a shell alias; Homebrew and npm
have their own folders. The PATH of launchd, cron and older terminals lacks them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import say

TESTED_VERSION = "2.1.332"  # of Claude Code, with which this release was tested
INSTALL = "npm install -g @anthropic-ai/claude-code"
_FOLDERS = (
    "~/.local/bin",
    "~/.claude/local",
    "/opt/homebrew/bin",
    "/usr/local/bin",
    "~/.npm-global/bin",
    "~/.bun/bin",
    "~/.volta/bin",
)


def named_by_variable(environ: Mapping[str, str]) -> str:
    """The program that ANYCLAUDE_CLAUDE names, which must not depend on the working directory.

    Raises:
        CommandFailed: it is a relative path.
    """
    named = environ.get("ANYCLAUDE_CLAUDE", "")
    if "/" in named and not named.startswith("/"):
        raise CommandFailed(
            ExitCode.USAGE,
            f"ANYCLAUDE_CLAUDE is {named}, which depends on the folder; allowed: a name on the PATH, or an "
            f"absolute path. For this one session: claude --claude-path {named}",
        )
    return named


def find_claude(
    named: str,
    environ: Mapping[str, str],
    *,
    is_program: Callable[[Path], bool] = lambda path: path.is_file() and os.access(path, os.X_OK),
    notify: Callable[[str], None] = say,
) -> str:
    """The program's whole path: by its name, else on the PATH, else in an installer's folder, with a message.

    Raises:
        CommandFailed: it was not found.
    """
    found = shutil.which(named or "claude", path=environ.get("PATH"))
    if found:
        return os.path.abspath(found)  # it may be run in another folder
    if named:
        raise CommandFailed(
            ExitCode.USAGE, f"{named} is not an executable program; give the path of Claude Code"
        )
    for path in installed_at(environ):
        if is_program(path):
            notify(f"Claude Code is not on the PATH; using {path}")
            return str(path)
    how = INSTALL if shutil.which("npm", path=environ.get("PATH")) else f"Node.js, then: {INSTALL}"
    raise CommandFailed(
        ExitCode.USAGE,
        f"Claude Code is neither on the PATH nor in its installers' folders; install it: {how}   (or give its"
        " path with --claude-path)",
    )


def installed_at(environ: Mapping[str, str]) -> Iterator[Path]:
    """The absolute paths where installers put the program, the usual one first."""
    home = environ.get("HOME", "")
    for folder in _FOLDERS:
        if home.startswith("/") or not folder.startswith("~"):
            yield Path(folder.replace("~", home, 1)) / "claude"
    own = environ.get("CLAUDE_CONFIG_DIR", "")
    if own.startswith("/"):
        yield Path(own) / "local" / "claude"
