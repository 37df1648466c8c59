"""How a command ends: each end has its exit code, and no mistake of a user's ends in a traceback."""

from __future__ import annotations

from collections.abc import Callable

from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import say
from tui.commands.output import open_closed_streams


def run_to_its_end(command: Callable[[], object]) -> None:
    """Run `command`; an error that the user can repair becomes its message on stderr and its exit code."""
    open_closed_streams()
    try:
        command()
    except Exception as error:
        code, message = _as_message(error)
        if code is None:
            raise
        for line in message.splitlines():
            say(f"anyclaude-tui: {line}")
        raise SystemExit(code) from None


def _as_message(error: Exception) -> tuple[int | None, str]:
    """The exit code and the message for an error that the user can repair; None for one that is ours."""
    if isinstance(error, CommandFailed):
        return error.exit_code, error.message
    from proxy.configuration.settled import ConfigError
    from tui.client.host_process import HostFailed

    match error:
        case ConfigError():
            return ExitCode.USAGE, str(error)
        case HostFailed():
            return error.exit_code, error.message
        case OSError(strerror=str()):
            return ExitCode.USAGE, f"{error.filename or 'output'}: {error.strerror}"
        case _:
            return None, ""
