"""Where Claude Code is: as it was named, on the PATH, or where one of its installers puts it.

Its own installer takes `~/.local/bin`, that of earlier versions `~/.claude/local`, which shells know by an
alias alone; then there are Homebrew and npm. launchd, cron and a terminal that was open before know of none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import say

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
    """The program that ANYCLAUDE_CLAUDE names, for all folders: none that only some folder has.

    Raises:
        CommandFailed: it is a path from the working directory.
    """
    named = environ.get("ANYCLAUDE_CLAUDE", "")
    if "/" in named and not named.startswith("/"):
        raise CommandFailed(
            ExitCode.USAGE,
            f"ANYCLAUDE_CLAUDE is {named}, another program in each folder; allowed: a name on the PATH, or a "
            f"whole path. For this one session: claude --claude-path {named}",
        )
    return named


def find_claude(
    named: str,
    environ: Mapping[str, str],
    *,
    is_program: Callable[[Path], bool] = lambda path: path.is_file() and os.access(path, os.X_OK),
) -> str:
    """The program: as named, else on the PATH, else where an installer puts it, which is then said.

    Raises:
        CommandFailed: it is not there.
    """
    found = shutil.which(named or "claude", path=environ.get("PATH"))
    if found:
        return found
    if named:
        raise CommandFailed(ExitCode.USAGE, f"{named} is no program that can be run; name Claude Code's own")
    for path in installed_at(environ):
        if is_program(path):
            say(f"Claude Code is not on the PATH; {path} is used")
            return str(path)
    how = INSTALL if shutil.which("npm", path=environ.get("PATH")) else f"Node.js, then: {INSTALL}"
    raise CommandFailed(
        ExitCode.USAGE,
        f"Claude Code is neither on the PATH nor where its installers put it; install it: {how}   (or name it"
        " with --claude-path)",
    )


def installed_at(environ: Mapping[str, str]) -> Iterator[Path]:
    """The places where installers put the program, the usual one first; none that depends on the folder."""
    home = environ.get("HOME", "")
    for folder in _FOLDERS:
        if home.startswith("/") or not folder.startswith("~"):
            yield Path(folder.replace("~", home, 1)) / "claude"
    own = environ.get("CLAUDE_CONFIG_DIR", "")
    if own.startswith("/"):
        yield Path(own) / "local" / "claude"
