"""Auto mode of Claude Code: off in sessions on one's own model, unless the arguments request it.

Behaviour of Claude Code 2.1.332: a new interactive session begins in auto mode. In it the client asks the
server to judge commands (`safeguards` in the request); it runs edits of the project's files, and commands
that only read or create such files, without a question. Anthropic's servers judge, and a host whose setting
`autoMode` says so. Without a verdict an interactive session stops at a dialog, and one with `-p` refuses the
command.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tui.commands.client_arguments import option_value

OPTION = "--permission-mode"
AUTO = "auto"
OFF: Mapping[str, Any] = {"permissions": {"disableAutoMode": "disable"}}
MANUAL_COMMAND = (
    "variables cannot switch off auto mode, in which Claude Code stops at each command; start it with: "
    f"claude --settings '{json.dumps(OFF, separators=(',', ':'))}'"
)


def is_requested(arguments: Sequence[str]) -> bool:
    """Whether the arguments request auto mode."""
    return option_value(arguments, OPTION) == AUTO


def notice(arguments: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> str:
    """The notice on auto mode before a session; empty if none is needed.

    `settings` are the user's own settings of all files, the strongest first.
    """
    if is_requested(arguments):
        return (
            f"{OPTION} {AUTO}: this host does not answer the checks of auto mode (autoMode is off); Claude "
            "Code edits your project without a question, and stops at a question before each command that "
            "needs a check; with -p it refuses such a command"
        )
    if not option_value(arguments, OPTION) and default_mode(settings) == AUTO:
        return (
            "permissions.defaultMode is auto in your settings, but this host does not answer its checks "
            f"(autoMode is off); this session begins in manual mode ({OPTION} {AUTO} overrides this)"
        )
    return ""


def is_off(settings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the user's own settings switch auto mode off."""
    return any(rules.get("disableAutoMode") == "disable" for rules in _permissions(settings))


def default_mode(settings: Sequence[Mapping[str, Any]]) -> str:
    """The default mode of the user's own settings, empty if they set none."""
    modes = (rules.get("defaultMode") for rules in _permissions(settings))
    return next((mode for mode in modes if isinstance(mode, str) and mode), "")


def _permissions(settings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    found = (layer.get("permissions") for layer in settings)
    return [rules for rules in found if isinstance(rules, Mapping)]
