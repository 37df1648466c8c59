"""Exit codes of commands, and the error that carries one."""

from __future__ import annotations

from engine.process.exit_codes import ExitCode

__all__ = ["CommandFailed", "ExitCode"]


class CommandFailed(Exception):
    """A command fails; `message` says what happened and what to do, one line for each problem."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.message = message
