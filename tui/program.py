"""Where the program begins: `statusline` and a plain start of the screen at once, the rest by the parser.

Claude Code runs `statusline` with each change of its screen, and people wait for the first frame; the command
line's parser alone takes longer to import than either needs.
"""

from __future__ import annotations

import sys

from proxy.lean_libraries import leave_out_httpx_command


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
    leave_out_httpx_command()
    if sys.argv[1:2] == ["statusline"]:
        from tui.commands.statusline import ran_quickly

        if ran_quickly(sys.argv[2:]):
            return
    elif all(word.startswith("--") for word in sys.argv[1:2]):
        from tui.commands.plain_start import started_plainly

        if started_plainly(sys.argv[1:]):
            return
    from tui.cli import main as run

    run()
