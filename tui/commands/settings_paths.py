"""Makes the relative paths of a Claude Code settings file absolute.

In a copy of the settings in another folder, relative paths would change their meaning: a rule
`Read(/secret/**)` would deny nothing. Rules of Claude Code 2.1.332: in file rules `/x` is relative to the
file's folder and `//x` is absolute; sandbox paths are relative to that folder unless absolute or beginning
with `~`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_RULE = re.compile(
    r"(Read|Edit|Write|MultiEdit|NotebookEdit|NotebookRead|Glob|Grep|LS)\(/(?!/)(.*)\)", re.DOTALL
)
_PATTERN_SIGNS = re.compile(r"([\\*?\[\]!])")  # rules are patterns as in .gitignore
RULE_LISTS = ("allow", "deny", "ask")
PATH_LISTS = ("allowRead", "allowWrite", "denyRead", "denyWrite")


def with_absolute_paths(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings of a file in `folder` (an absolute path), independent of the file's place."""
    rooted = _PATTERN_SIGNS.sub(r"\\\1", folder.as_posix().rstrip("/"))

    def rule(text: str) -> str:
        found = _RULE.fullmatch(text)
        return f"{found[1]}(/{rooted}/{found[2]})" if found else text

    def path(text: str) -> str:
        return text if text.startswith(("/", "~")) else str(folder / text)

    def credential(entry: Any) -> Any:
        named = entry.get("path") if isinstance(entry, Mapping) else None
        return {**entry, "path": path(named)} if isinstance(named, str) else entry

    moved: dict[str, Any] = _changed(
        settings,
        {
            "permissions": lambda rules: _changed(rules, dict.fromkeys(RULE_LISTS, _each(_text(rule)))),
            "sandbox": lambda sandbox: _changed(
                sandbox,
                {
                    "filesystem": lambda paths: _changed(
                        paths, dict.fromkeys(PATH_LISTS, _each(_text(path)))
                    ),
                    "credentials": lambda kinds: _changed(kinds, {"files": _each(credential)}),
                },
            ),
        },
    )
    return moved


Change = Callable[[Any], Any]


def _changed(value: Any, changes: Mapping[str, Change]) -> Any:
    """An object with some of its values changed; other values stay unchanged."""
    if not isinstance(value, Mapping):
        return value
    return {key: changes[key](inner) if key in changes else inner for key, inner in value.items()}


def _each(change: Change) -> Change:
    return lambda items: [change(item) for item in items] if isinstance(items, list) else items


def _text(change: Callable[[str], str]) -> Change:
    return lambda item: change(item) if isinstance(item, str) else item
