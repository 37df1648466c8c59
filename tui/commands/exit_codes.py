"""How a command ends: the exit codes that scripts may rely on, and the error that carries one."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    FINE = 0
    CHECK_FAILED = 1
    USAGE = 2  # the command line or the configuration
    PORT_BUSY = 3
    ENGINE_FAILED = 4
    INTERRUPTED = 130


class CommandFailed(Exception):
    """A command cannot go on; `message` says what happened and what to do, one line for each thing."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.message = message
