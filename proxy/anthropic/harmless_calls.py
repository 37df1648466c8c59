"""Calls that certainly harm nothing: they look at what the session may look at, and change nothing.

Decided by the call and the context that Claude Code 2.1.332 sends beside it (`classifier_context`), without a
look at the disk. What is not known here may be harmless too.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Readers, and the field that names a path; without the field they read in the working directory.
_READERS = {"Read": "file_path", "Glob": "path", "Grep": "path", "LS": "path"}
_WITHOUT_EFFECT = frozenset(
    ("TodoWrite", "ToolSearch", "TaskList", "TaskGet", "TaskOutput", "AskUserQuestion", "ExitPlanMode")
)
_PROGRAMS = re.compile(
    "ls|pwd|cat|head|tail|wc|echo|true|whoami|uname|which|stat|du|df|[ef]?grep|basename|dirname|cmp"
)
_GIT = frozenset(("status", "log", "rev-parse", "ls-files"))
_GIT_OPTION = re.compile(  # git takes shortened ones too, such as --outp: only these are known
    r"-\d+|-[bnps]|--(?:all|abbrev-ref|decorate|graph|name-only|oneline|porcelain|short|show-toplevel|stat)"
)
_BETWEEN = frozenset(("|", "||", "&&", ";"))
_EXPANDED = frozenset("$`\\\n\r(){}<>!")  # what a shell makes something else of, and redirections


@dataclass(frozen=True, slots=True)
class SessionFolders:
    """The working directory of a session, and the directories that its user trusts."""

    here: str
    trusted: tuple[str, ...]

    def contain(self, path: str) -> bool:
        """Whether a path, relative to the working directory or not, lies in a trusted directory."""
        if path.startswith("~"):
            return False
        whole = posixpath.normpath(posixpath.join(self.here, path))
        return any(whole == folder or whole.startswith(folder.rstrip("/") + "/") for folder in self.trusted)


def session_folders(context: Mapping[str, Any]) -> SessionFolders:
    """The folders that a context names; none where it has another form."""
    here = context.get("live_cwd")
    found = context.get("trusted_directories")
    rows = []
    if isinstance(found, dict):
        more = found.get("additional")
        rows = [found.get("primary"), *(more if isinstance(more, list) else [])]
    paths = [row.get("path") if isinstance(row, dict) else row for row in rows]
    trusted = tuple(path for path in paths if isinstance(path, str) and path.startswith("/") and path != "/")
    return SessionFolders(here if isinstance(here, str) and here.startswith("/") else "/", trusted)


def is_harmless(name: str, given: Mapping[str, Any], folders: SessionFolders) -> bool:
    """Whether a call certainly harms nothing; False also where that is not known."""
    if name in _WITHOUT_EFFECT:
        return True
    if name in _READERS:
        path = given.get(_READERS[name], ".")
        return isinstance(path, str) and folders.contain(path) and folders.contain(".")
    command = given.get("command")
    if name != "Bash" or not isinstance(command, str) or given.get("dangerouslyDisableSandbox"):
        return False
    return _is_harmless_command(command, folders)


def _is_harmless_command(command: str, folders: SessionFolders) -> bool:
    if _EXPANDED & set(command) or not folders.contain("."):
        return False
    reader = shlex.shlex(command, posix=True, punctuation_chars=True)
    reader.whitespace_split, reader.commenters = True, ""
    try:
        words = list(reader)
    except ValueError:
        return False
    parts: list[list[str]] = [[]]
    for word in words:
        if word in _BETWEEN:
            parts.append([])
        else:
            parts[-1].append(word)
    return all(part and _is_harmless_part(part, folders) for part in parts)


def _is_harmless_part(words: list[str], folders: SessionFolders) -> bool:
    program, *rest = words
    if program == "git":
        known = bool(rest) and rest[0] in _GIT
        known = known and all(_GIT_OPTION.fullmatch(word) for word in rest if word.startswith("-"))
    else:
        known = _PROGRAMS.fullmatch(program) is not None
    if not known or any("&" in word or not set(word) - set(";|") for word in words):
        return False
    options = [word for word in rest if word.startswith("-")]
    paths = [word for word in rest if not word.startswith("-")]
    return not any("/" in word for word in options) and all(map(folders.contain, paths))
