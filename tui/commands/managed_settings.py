"""Settings that come before those of a session: an organization's, and for `env` the user's own files."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from proxy.configuration.small_file import read_small_file
from tui.commands.claude_environment import ClaudeEnvironment
from tui.commands.user_settings import MOST_BYTES

SettingsFiles = Sequence[tuple[Path, Mapping[str, Any] | None]]
"""Files that are there; None for one that cannot be read."""


def managed_settings_files(system: str | None = None) -> tuple[Path, ...]:
    """Where an organization puts managed settings for Claude Code 2.1.332: a file, and a folder of them."""
    if (system or platform.system()) == "Darwin":
        folder = Path("/Library/Application Support/ClaudeCode")
    else:
        folder = Path("/etc/claude-code")
    return folder / "managed-settings.json", folder / "managed-settings.d"


def read_managed(places: Iterable[Path]) -> SettingsFiles:
    """The managed files that are there."""
    found: list[tuple[Path, Mapping[str, Any] | None]] = []
    for place in places:
        for path in sorted(place.glob("*.json")) if place.is_dir() else [place]:
            try:
                document = json.loads(read_small_file(path, most=MOST_BYTES).data.decode("utf-8-sig"))
            except FileNotFoundError:
                continue
            except (OSError, ValueError, RecursionError):
                document = None
            found.append((path, document if isinstance(document, dict) else None))
    return found


def precedence_notices(environment: ClaudeEnvironment, files: SettingsFiles) -> list[str]:
    """A line for each file whose `env` has another value than this environment; values are not repeated."""
    wanted = {**dict.fromkeys(environment.unset, ""), **environment.variables}
    notices = []
    for path, settings in files:
        env = settings.get("env") if settings is not None else None
        given = env if isinstance(env, Mapping) else {}
        names = [name for name, value in wanted.items() if name in given and str(given[name]) != value]
        if names:
            notices.append(
                f"{path} sets {', '.join(names)}, and Claude Code takes that value: "
                f"{'requests may go elsewhere' if _ADDRESS & set(names) else 'the session may differ'}"
            )
    return notices


_ADDRESS = {"ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"}
