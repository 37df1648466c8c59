"""`anyclaude-tui config check`: is everything right in a configuration file?"""

from __future__ import annotations

import os
from pathlib import Path

from proxy.configuration.file import FILE_NAME, expand_home, parse_config, read_content
from proxy.configuration.settings import CONFIG_FILE
from proxy.configuration.settled import ConfigError
from proxy.configuration.settling import settle
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say, surroundings


def run_config_check(invocation: Invocation, named: str) -> int:
    """Check the file that was named, else those that count here; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: one line for each thing that is wrong.
        CommandFailed: the file that was named is not there.
    """
    problems: list[str] = []
    warnings: list[str] = []
    right = []
    paths = _files(invocation, named)
    for path in paths:
        try:
            file = parse_config(read_content(path))
            warnings += file.warnings
            file.raise_problems()
            right.append(path)
        except ConfigError as error:
            problems += error.problems
    if not problems and not named:
        problems, more = _start_here(invocation)
        warnings += [warning for warning in more if warning not in warnings]
        right = [] if problems else right
    for warning in warnings:
        say(f"warning: {warning}")
    for path in right:
        say(f"{path}: nothing {'else ' if warnings else ''}is wrong")
    if not paths and not problems:
        say(f"there is no {FILE_NAME} here or in your home folder; a host would start without one")
    if problems:
        raise ConfigError(problems)
    return ExitCode.FINE


def _start_here(invocation: Invocation) -> tuple[list[str], list[str]]:
    """What a host started here would refuse, such as one port for two, and what it would warn of."""
    cwd, user_home = surroundings()
    try:
        settled = settle(invocation.options, environ=invocation.environ, cwd=cwd, user_home=user_home)
    except ConfigError as error:
        return list(error.problems), list(error.warnings)
    from tui.commands.screen import screen_choices

    return screen_choices(settled.config)[1], list(settled.warnings)


def _files(invocation: Invocation, named: str) -> list[Path]:
    cwd, user_home = surroundings()
    by_variable = invocation.environ.get(CONFIG_FILE.env, "").strip()
    named = named or invocation.options.get("config") or by_variable
    if named:
        path = cwd / expand_home(named, user_home)
        path = path / FILE_NAME if os.path.isdir(path) else path
        if not os.path.lexists(path):
            raise CommandFailed(
                ExitCode.USAGE, f"{path} is not there; name a configuration file, or its folder"
            )
        return [path]
    usual = dict.fromkeys([user_home / FILE_NAME, cwd / FILE_NAME])
    return [path for path in usual if os.path.lexists(path)]
