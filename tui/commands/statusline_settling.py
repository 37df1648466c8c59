"""`anyclaude-tui statusline` where the host's address has to come from the configuration."""

from __future__ import annotations

import io
from contextlib import redirect_stderr

from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.statusline import print_line


def run_statusline(invocation: Invocation, *, plain: bool = False, width: int = 0) -> int:
    """Print the line; returns the exit code, always 0: a status line shows what is wrong."""
    from proxy.configuration.settled import ConfigError

    url = token = problem = ""
    try:
        with redirect_stderr(io.StringIO()):  # warnings, each time anew, are for other commands
            settled = invocation.settle()
        token, url = settled.config.token, invocation.base_url(settled)
    except (ConfigError, CommandFailed):
        problem = "its configuration is wrong: anyclaude-tui status"
    print_line(url, token, plain=plain, width=width, problem=problem)
    return ExitCode.FINE
