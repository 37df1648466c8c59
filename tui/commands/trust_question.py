"""Asks in a terminal whether to trust the working directory's configuration file."""

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
    """The function that asks; None without a terminal or in CI."""
    try:
        there = sys.stdin.isatty() and sys.stderr.isatty() and not environ.get("CI")
    except (AttributeError, ValueError):  # closed
        there = False
    return ask if there else None


def ask(file: ConfigFile, keys: tuple[str, ...]) -> bool | None:
    """Show the keys that would apply, and ask once; None: no answer."""
    try:
        # Discard input from before the question.
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    except (OSError, ValueError, termios.error):
        return None
    say(f"{_named(file)} may have come with a repository. If you trust it, it also sets:")
    for line in setting_lines(file, keys):
        say(f"  {line}")
    say("These keys can redirect prompts and keys. Without trust they are ignored, and the others apply.")
    sys.stderr.write("Trust the file, until it changes? [y/N] ")
    sys.stderr.flush()
    try:
        answer = sys.stdin.readline()
    except (OSError, ValueError):
        answer = ""
    if not answer:
        say("")
        return None
    if answer.strip().lower() in YES:
        say(f"trusted; to revoke: {HOW_TO_TRUST} --revoke")
        return True
    say("not trusted; you are not asked again for this content")
    return False


def setting_lines(file: ConfigFile, keys: tuple[str, ...]) -> list[str]:
    """A line for each key and its value, without secrets and control characters.

    Keys that direct requests come last, where a long list cannot scroll them away; of these, the addresses of
    backends that the file does not select come first.
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
    # ASCII only: look-alike letters are visible as escapes.
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _MOST else f"{text[:_MOST]}... ({len(text)} characters)"


def _named(file: ConfigFile) -> str:
    path, real = str(file.path), os.path.realpath(file.path)
    return path if path == real else f"{path} (a link to {real})"
