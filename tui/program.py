"""Where the program begins: `statusline` at once, all other commands by the command line's parser.

Claude Code runs `statusline` with each change of its screen, and the parser alone takes longer to import than
all of that command needs.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run one command; ctrl+c ends it at any moment with the exit code of an interrupt, and no traceback."""
    try:
        _run()
    except BaseException as error:
        if not _interrupted(error):
            raise
        from tui.commands.exit_codes import ExitCode

        raise SystemExit(ExitCode.INTERRUPTED) from None


def _interrupted(error: BaseException) -> bool:
    """Whether it is a ctrl+c; pydantic_core wraps one into its own error while it builds schemas."""
    wrapped = type(error).__name__ == "SchemaError" and "KeyboardInterrupt" in str(error)
    return wrapped or isinstance(error, KeyboardInterrupt)


def _run() -> None:
    if sys.argv[1:2] == ["statusline"]:
        from tui.commands.statusline import ran_quickly

        if ran_quickly(sys.argv[2:]):
            return
    from tui.cli import main as run

    run()
