"""How a call gets to the user: the bell, a notification by the terminal (OSC 9, OSC 777), or one by macOS."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Mapping
from contextlib import suppress

from tui.client.wire_text import line_text

TITLE = "anyclaude"
_MOST = 200  # characters
_TIMEOUT_S = 5.0
_SCRIPT = ("on run argv", f'display notification (item 1 of argv) with title "{TITLE}"', "end run")
# Terminals that know OSC 777 and not OSC 9: by TERM, or VTE's own variable.
_KNOW_777 = ("rxvt", "foot")


def sequence(how: str, text: str, environ: Mapping[str, str] = os.environ) -> str:
    """What to write on the terminal for a call, by `bell` or `terminal`; control characters are removed.

    Within tmux it is passed on to the terminal outside (its option allow-passthrough).
    """
    if how == "bell":
        return "\a"
    words = line_text(text, _MOST)
    if environ.get("TERM", "").startswith(_KNOW_777) or environ.get("VTE_VERSION"):
        written = f"\x1b]777;notify;{TITLE};{words.replace(';', ',')}\x07"
    else:
        written = f"\x1b]9;{TITLE}: {words}\x07"
    if environ.get("TMUX"):
        escaped = written.replace("\x1b", "\x1b\x1b")
        return f"\x1bPtmux;{escaped}\x1b\\"
    return written


def outlet(how: str, environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str:
    """`how` as it can be done here: `system` is macOS's, and only on the Mac before which the user sits."""
    remote = environ.get("SSH_CONNECTION") or environ.get("SSH_TTY")
    return "terminal" if how == "system" and (platform != "darwin" or remote) else how


async def notify_macos(text: str) -> None:
    """Have macOS show a notification; what does not work is let be. The text is no part of the script."""
    script = [word for line in _SCRIPT for word in ("-e", line)]
    with suppress(OSError, TimeoutError):
        process = await asyncio.create_subprocess_exec(
            "osascript", *script, line_text(text, _MOST), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
