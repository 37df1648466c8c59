"""Where the program begins: `statusline` at once, all other commands by the command line's parser.

Claude Code runs `statusline` with each change of its screen, and the parser alone takes longer to import than
all of that command needs.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run one command."""
    if sys.argv[1:2] == ["statusline"]:
        from tui.commands.statusline import ran_quickly

        if ran_quickly(sys.argv[2:]):
            return
    from tui.cli import main as run

    run()
