"""Auto mode of Claude Code: off in sessions on a model of one's own, unless their arguments ask for it.

As Claude Code 2.1.332 has it: a fresh interactive session begins in auto mode, in which the server is asked
to judge commands (`safeguards` in the request): not edits of the project's files, nor commands that only look
at or make such files, which are carried out unasked. Anthropic's servers judge; without a verdict an
interactive session stops at a dialog, and one with `-p` refuses the command.
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
    "variables cannot switch off auto mode, in which Claude Code would stop at each command; start it with: "
    f"claude --settings '{json.dumps(OFF, separators=(',', ':'))}'"
)


def is_requested(arguments: Sequence[str]) -> bool:
    """Whether the arguments ask for auto mode."""
    return option_value(arguments, OPTION) == AUTO


def notice(arguments: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> str:
    """What to say of a session's auto mode before it begins; empty where it goes as everybody expects.

    `settings` are the user's own, in every file that counts, the strongest first.
    """
    if is_requested(arguments):
        return (
            f"{OPTION} {AUTO}: only Anthropic's servers answer the check that auto mode makes; "
            "Claude Code will edit your project unasked, and stop at a question before a command that wants "
            "it, with -p refuse that"
        )
    if not option_value(arguments, OPTION) and default_mode(settings) == AUTO:
        return (
            "permissions.defaultMode is auto in your settings, whose check only Anthropic's servers answer; "
            f"this session begins in manual mode ({OPTION} {AUTO} insists)"
        )
    return ""


def is_off(settings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the user's own settings switch auto mode off."""
    return any(rules.get("disableAutoMode") == "disable" for rules in _permissions(settings))


def default_mode(settings: Sequence[Mapping[str, Any]]) -> str:
    """The mode that the user's own settings begin with, empty where they name none."""
    modes = (rules.get("defaultMode") for rules in _permissions(settings))
    return next((mode for mode in modes if isinstance(mode, str) and mode), "")


def _permissions(settings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    found = (layer.get("permissions") for layer in settings)
    return [rules for rules in found if isinstance(rules, Mapping)]
