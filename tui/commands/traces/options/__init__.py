"""The command line of `anyclaude-tui traces`; imports nothing heavy, so that help comes at once."""

from tui.commands.traces.options import reading  # isort: skip  # its commands come first in the help
from tui.commands.traces.options import keeping
from tui.commands.traces.options.shared import Own, Since, traces

__all__ = ["Own", "Since", "keeping", "reading", "traces"]
