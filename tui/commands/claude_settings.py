"""The settings overlay of one session: a private file for `--settings`, gone when the session ends.

The user's own settings files are never touched.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from proxy.state_folder import write_private
from tui.commands.claude_environment import ClaudeEnvironment
from tui.commands.exit_codes import CommandFailed, ExitCode

OPTION = "--settings"


@contextmanager
def overlay(environment: ClaudeEnvironment, arguments: Sequence[str], *, folder: Path) -> Iterator[list[str]]:
    """Client arguments with the overlay in front; settings among `arguments` are taken into it.

    The client takes one `--settings` only, so the user's cannot stand beside ours: their values are kept, and
    ours win where both name a variable.

    Raises:
        CommandFailed: the user's settings cannot be read, or the overlay cannot be written.
    """
    given, rest = take_settings(arguments)
    settings = merged(_read(given) if given else {}, environment.settings())
    path = folder / f"claude-settings-{os.getpid()}.json"
    try:
        _remove_left_behind(folder)
        write_private(path, json.dumps(settings).encode())
    except OSError as error:
        raise CommandFailed(ExitCode.USAGE, f"{path} cannot be written: {error.strerror or error}") from None
    try:
        yield [OPTION, str(path), *rest]
    finally:
        path.unlink(missing_ok=True)


def _remove_left_behind(folder: Path) -> None:
    """Remove the overlays of sessions that were killed: a token may be in them."""
    for path in folder.glob("claude-settings-*.json"):
        pid = path.stem.rsplit("-", 1)[-1]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            path.unlink(missing_ok=True)


def take_settings(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The value of the last `--settings` before any `--`, and the arguments without it."""
    value = ""
    rest: list[str] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        if argument == "--":
            return value, [*rest, argument, *left]
        if argument == OPTION and left:
            value = left.pop(0)
        elif argument.startswith(OPTION + "="):
            value = argument.removeprefix(OPTION + "=")
        else:
            rest.append(argument)
    return value, rest


def merged(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """The user's settings with ours over them, and our environment over theirs."""
    env = theirs.get("env")
    return {**theirs, **ours, "env": {**(env if isinstance(env, dict) else {}), **ours["env"]}}


def _read(given: str) -> dict[str, Any]:
    """Settings as the client takes them: JSON itself, or the name of a file that holds it."""
    try:
        text = given if given.lstrip().startswith("{") else Path(given).expanduser().read_text("utf-8")
        settings = json.loads(text)
    except OSError as error:
        raise CommandFailed(
            ExitCode.USAGE, f"{OPTION} {given[:200]} cannot be read: {error.strerror or error}"
        ) from None
    except ValueError as error:
        raise CommandFailed(ExitCode.USAGE, f"{OPTION} {given[:200]} is not JSON: {error}") from None
    if not isinstance(settings, dict):
        raise CommandFailed(ExitCode.USAGE, f"{OPTION} {given[:200]} holds no JSON object")
    return settings
