"""Copies to the clipboard of the user's machine: with `pbcopy` on macOS, else through the terminal (OSC 52).

Terminal.app ignores OSC 52, so `pbcopy` comes first on a Mac. Over ssh `pbcopy` would write the clipboard of
the remote Mac. tmux ignores OSC 52 from programs unless its option set-clipboard is on, so within tmux its
own command passes the text to the terminal outside, also over ssh; it is in tmux's buffers then, too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence

from textual.app import App

from tui.client.figures import plural

TIMEOUT_S = 5.0
_TMUX = ("load-buffer", "-w", "-")  # -w: to the terminal's clipboard too (tmux 3.2)
# Without a UTF-8 locale (ssh, launchd) pbcopy reads bytes in another encoding.
_UTF8 = {"LC_ALL": "en_US.UTF-8"}


class _Failed(Exception):
    """The tool did not copy; the message gives the reason."""


def copy(
    app: App[None],
    text: str,
    what: str,
    *,
    environ: Mapping[str, str] = os.environ,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Copy `text` and notify the user; also if there is nothing to copy.

    `pbcopy` runs in a worker. If it fails or takes too long, OSC 52 is used and the notification says so.
    """
    if not text:
        app.notify(f"There is no {what} to copy yet.", severity="warning", timeout=3, markup=False)
        return
    text = text.encode(errors="replace").decode()  # half of a surrogate pair has no bytes
    tool = _tool(environ)
    if tool:
        app.run_worker(
            _with_tool(app, tool, text, what, dict(environ) | _UTF8, timeout_s),
            name="copy",
            group="copy",
            exclusive=True,  # the last copy wins
            exit_on_error=False,
        )
    else:
        app.copy_to_clipboard(text)
        _notify_copied(app, text, what)


def _tool(environ: Mapping[str, str]) -> Sequence[str]:
    """The command that copies its input; none where the terminal is asked."""
    remote = environ.get("SSH_CONNECTION") or environ.get("SSH_TTY")
    pbcopy = shutil.which("pbcopy", path=environ.get("PATH"))
    if sys.platform == "darwin" and not remote and pbcopy:
        return (pbcopy,)
    tmux = shutil.which("tmux", path=environ.get("PATH")) if environ.get("TMUX") else None
    return (tmux, *_TMUX) if tmux else ()


async def _with_tool(
    app: App[None], tool: Sequence[str], text: str, what: str, environ: Mapping[str, str], timeout_s: float
) -> None:
    try:
        await _run(tool, text.encode(), environ, timeout_s)
    except _Failed as failure:
        app.copy_to_clipboard(text)
        app.notify(
            f"{os.path.basename(tool[0])} did not copy the {what} ({failure}). The terminal was asked to copy"
            " it; Terminal.app ignores that. Paste to check.",
            severity="warning",
            timeout=8,
            markup=False,
        )
    else:
        _notify_copied(app, text, what)


async def _run(tool: Sequence[str], content: bytes, environ: Mapping[str, str], timeout_s: float) -> None:
    """Write `content` to the tool and wait until it ends; it does not outlive this call.

    Raises:
        _Failed: it cannot be run, failed, or took longer.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *tool, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, env=environ
        )
    except OSError as error:
        raise _Failed(error.strerror or str(error)) from error
    try:
        async with asyncio.timeout(timeout_s):
            await process.communicate(content)
    except TimeoutError:
        raise _Failed(f"no end within {timeout_s:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise _Failed(f"exit code {process.returncode}")


def _notify_copied(app: App[None], text: str, what: str) -> None:
    app.notify(f"Copied the {what}: {plural(len(text), 'character')}.", timeout=2, markup=False)
