"""Reads the user's own settings of Claude Code: those in the arguments, and the settings files.

Files are never written. Precedence in Claude Code 2.1.332: `--settings`, the project's `settings.local.json`,
the project's `settings.json`, the user's. Managed settings take precedence over all of them, also over ours,
and are not read here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.configuration.file import expand_home
from proxy.configuration.small_file import read_small_file
from tui.commands.client_arguments import option_value, take_option
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.settings_paths import with_absolute_paths

OPTION = "--settings"
SOURCES = "--setting-sources"
MOST_BYTES = 4 << 20
LOCAL, PROJECT, USER = "local", "project", "user"


@dataclass(frozen=True, slots=True)
class UserSettings:
    """The user's own settings, and the arguments without `--settings`."""

    given: Mapping[str, Any]  # with `--settings`
    files: tuple[Mapping[str, Any], ...]  # of the settings files, the strongest first
    arguments: tuple[str, ...]

    @property
    def layers(self) -> tuple[Mapping[str, Any], ...]:
        """All layers, the strongest first."""
        return (self.given, *self.files)

    def variable(self, name: str) -> str:
        """The value of a variable in their `env`, else empty."""
        for layer in self.layers:
            env = layer.get("env")
            value = env.get(name) if isinstance(env, Mapping) else None
            if isinstance(value, (str, int, float)) and str(value):
                return str(value)
        return ""


def read_user_settings(
    arguments: Sequence[str], *, environ: Mapping[str, str], cwd: Path, user_home: Path
) -> UserSettings:
    """The settings of a session in `cwd` with these arguments.

    Raises:
        CommandFailed: the settings of `--settings` cannot be read. The client itself reports unreadable
        files.
    """
    given, rest = take_option(arguments, OPTION)
    named = option_value(arguments, SOURCES)
    sources = {LOCAL, PROJECT, USER} if named is None else {name.strip() for name in named.split(",")}
    paths = _files(sources, environ, cwd, user_home)
    files = tuple(found for path in paths if (found := _read_file(path)) is not None)
    return UserSettings(_read_given(given) if given else {}, files, tuple(rest))


def named_settings_files(
    environ: Mapping[str, str], cwd: Path, user_home: Path
) -> list[tuple[Path, Mapping[str, Any] | None]]:
    """The settings files of a session in `cwd` that are there, the strongest first; None: not readable."""
    paths = _files({LOCAL, PROJECT, USER}, environ, cwd, user_home)
    return [(path, _read_file(path)) for path in paths if path.is_file()]


def _files(sources: set[str], environ: Mapping[str, str], cwd: Path, user_home: Path) -> Iterator[Path]:
    if LOCAL in sources:
        root = next((folder for folder in (cwd, *cwd.parents) if (folder / ".git").exists()), cwd)
        for folder in dict.fromkeys((cwd, root)):
            yield folder / ".claude" / "settings.local.json"
    if PROJECT in sources:
        yield cwd / ".claude" / "settings.json"
    if USER in sources:
        named = environ.get("CLAUDE_CONFIG_DIR")
        yield (Path(named) if named else user_home / ".claude") / "settings.json"


def _read_file(path: Path) -> dict[str, Any] | None:
    """The settings of a file, None if it has none or is not a regular file."""
    try:
        settings = json.loads(read_small_file(path, most=MOST_BYTES).data.decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    return settings if isinstance(settings, dict) else None


def _read_given(given: str) -> dict[str, Any]:
    """The value of `--settings`: JSON, or the name of a JSON file."""
    file = None if given.lstrip().startswith("{") else Path(os.path.abspath(expand_home(given, Path.home())))
    try:
        settings = json.loads(file.read_text("utf-8-sig") if file else given)
    except OSError as error:
        raise CommandFailed(
            ExitCode.USAGE, f"{OPTION} {given[:200]} cannot be read: {error.strerror or error}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise CommandFailed(ExitCode.USAGE, f"{OPTION} {given[:200]} is not JSON: {error}") from None
    if not isinstance(settings, dict):
        raise CommandFailed(ExitCode.USAGE, f"{OPTION} {given[:200]} has no JSON object")
    return with_absolute_paths(settings, file.parent) if file else settings
