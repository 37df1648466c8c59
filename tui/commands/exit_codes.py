"""How a command ends: with an exit code, and the error that carries one."""

from __future__ import annotations

from engine.process.exit_codes import ExitCode

__all__ = ["CommandFailed", "ExitCode"]


class CommandFailed(Exception):
    """A command cannot go on; `message` says what happened and what to do, one line for each thing."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.message = message
