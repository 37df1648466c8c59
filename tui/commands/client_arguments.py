"""Finds options in the arguments for Claude Code, by its own rules.

A value follows its option, or `=` within it. The last one counts if an option is repeated. There are no
options after `--`.
"""

from __future__ import annotations

from collections.abc import Sequence


def take_option(arguments: Sequence[str], option: str) -> tuple[str | None, list[str]]:
    """The value of `option`, None if it is not given, and the arguments without it."""
    value = None
    rest: list[str] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        if argument == "--":
            return value, [*rest, argument, *left]
        if argument == option and left:
            value = left.pop(0)
        elif argument.startswith(option + "="):
            value = argument.removeprefix(option + "=")
        else:
            rest.append(argument)
    return value, rest


def option_value(arguments: Sequence[str], option: str) -> str | None:
    """The value of `option`, None if it is not given."""
    return take_option(arguments, option)[0]
