"""`anyclaude-tui config check`: is everything right in a configuration file?"""

from __future__ import annotations

import os
from pathlib import Path

from proxy.configuration.file import FILE_NAME, expand_home, parse_config, read_content
from proxy.configuration.settings import CONFIG_FILE
from proxy.configuration.settled import ConfigError
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say, surroundings


def run_config_check(invocation: Invocation, named: str) -> int:
    """Check the file that was named, else those that count here; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: one line for each thing that is wrong.
        CommandFailed: there is no file to check.
    """
    problems: list[str] = []
    for path in _files(invocation, named):
        found: tuple[str, ...] = ()
        try:
            file = parse_config(read_content(path))
            for warning in file.warnings:
                say(f"warning: {warning}")
            file.raise_problems()
        except ConfigError as error:
            found = error.problems
        problems += found
        if not found:
            say(f"{path}: nothing is wrong")
    if problems:
        raise ConfigError(problems)
    return ExitCode.FINE


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
    paths = [path for path in usual if os.path.lexists(path)]
    if not paths:
        raise CommandFailed(
            ExitCode.USAGE, f"there is no {FILE_NAME} here or in your home folder; name a file to check"
        )
    return paths
