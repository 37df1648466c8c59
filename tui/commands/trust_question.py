"""Asking, in a terminal, whether the working directory's configuration file is to be obeyed."""

from __future__ import annotations

import json
import os
import sys
import termios
from collections.abc import Mapping
from typing import Any

from engine.options.kinds import URL, Kind, printable
from proxy.configuration.destination import without_password
from proxy.configuration.file import ConfigFile
from proxy.configuration.files import HOW_TO_TRUST, Ask
from proxy.configuration.settings import setting_at
from tui.commands.invocation import say

YES = ("y", "yes")
_ADDRESSES = ("backend", "baseUrl", "host", "port")
_MOST = 400  # characters of a value


def question(environ: Mapping[str, str]) -> Ask | None:
    """How to ask; None where nobody is there to answer."""
    try:
        there = sys.stdin.isatty() and sys.stderr.isatty() and not environ.get("CI")
    except (AttributeError, ValueError):  # closed
        there = False
    return ask if there else None


def ask(file: ConfigFile, keys: tuple[str, ...]) -> bool | None:
    """Show what would be obeyed, and ask once; None: no answer."""
    try:
        # What was typed or pasted before the question was seen is no answer to it.
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    except (OSError, ValueError, termios.error):
        return None
    say(f"{_named(file)} may have come with somebody else's repository. Trusted, it also sets:")
    for line in setting_lines(file, keys):
        say(f"  {line}")
    say("They can decide where prompts and keys go. Without trust the rest of it counts, these do not.")
    sys.stderr.write("Obey them, until the file changes? [y/N] ")
    sys.stderr.flush()
    try:
        answer = sys.stdin.readline()
    except (OSError, ValueError):
        answer = ""
    if not answer:
        say("")
        return None
    if answer.strip().lower() in YES:
        say(f"trusted; to take it back: {HOW_TO_TRUST} --revoke")
        return True
    say("not trusted, and not asked again for this content")
    return False


def setting_lines(file: ConfigFile, keys: tuple[str, ...]) -> list[str]:
    """A line for each key and its value; no secret is shown, and nothing that a terminal would obey.

    What decides where requests go comes last, where a long list does not push it out of sight; of that, the
    addresses of backends that the file does not choose come first.
    """
    chosen = file.values.get("backend")

    def rank(key: str) -> int:
        parts = key.split(".")
        if parts[-1] not in _ADDRESSES:
            return 0
        return 1 if chosen and len(parts) > 1 and parts[1] != chosen else 2

    lines = []
    for key in sorted(keys, key=rank):
        setting = setting_at(key)
        assert setting is not None, "keys that are not known are not taken from a file"
        lines.append(f"{printable(key)} = {shown_value(setting.kind, file.values.get(key))}")
    return lines


def shown_value(kind: Kind, value: Any) -> str:
    """A value for people: no secret is shown, and nothing that a terminal would obey."""
    if kind.secret:
        return f"(hidden, {len(value)} characters)" if value else '""'
    if kind is URL:
        value = without_password(value)
    # ASCII alone: a letter that only looks like another shows as what it is.
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _MOST else f"{text[:_MOST]}... ({len(text)} characters)"


def _named(file: ConfigFile) -> str:
    path, real = str(file.path), os.path.realpath(file.path)
    return path if path == real else f"{path} (a link to {real})"
