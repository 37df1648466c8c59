"""`anyclaude-tui` with options alone, which shows the screen: read without the command line's parser.

The parser and what it converts values with take longer to import than the first frame takes to draw. What is
not plain (a command, a flag, a mistake, a request for help) is left to it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from engine.process.install_check import refusal_here
from proxy.configuration.settings import CONFIG_FILE, SETTINGS
from tui.commands.endings import run_to_its_end
from tui.commands.invocation import Invocation

_SMALL_NUMBER = re.compile(r"[0-9]{1,9}")
_COMPLETING = "_ANYCLAUDE_TUI_COMPLETE"  # set by a shell that asks for completions


def started_plainly(arguments: Sequence[str]) -> bool:
    """Show the screen, and end the program behind it, if these arguments are all plain; else False."""
    invocation = plain_invocation(arguments, os.environ)
    if invocation is None or refusal_here():
        return False
    from tui.commands.screen import run_screen

    run_to_its_end(lambda: sys.exit(run_screen(invocation)))
    return True


def plain_invocation(arguments: Sequence[str], environ: Mapping[str, str]) -> Invocation | None:
    """What the parser would make of `arguments`; None where it alone can tell."""
    if _COMPLETING in environ:
        return None
    names = {setting.option: name for name, setting in SETTINGS.items() if setting.option}
    names |= {CONFIG_FILE.option: "config", "--attach": "attach"}
    found: dict[str, Any] = dict.fromkeys(names.values())
    words = list(arguments)
    while words:
        option, equals, value = words.pop(0).partition("=")
        if option not in names or not (equals or words):
            return None
        if not equals:
            value = words.pop(0)
            if value.startswith("-"):
                return None
        name = names[option]
        number = name in SETTINGS and SETTINGS[name].option_type is int
        if not (_SMALL_NUMBER.fullmatch(value) if number else value.isprintable()):
            return None
        found[name] = int(value) if number else value
    attach = found.pop("attach") or ""
    return Invocation(found, attach)
