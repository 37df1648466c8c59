"""Which configuration files count, and how much of them: the working directory's over the user's own.

A file that was named counts whole and alone: the user has named it. The working directory's may have come
with another's repository: it counts whole only where the user has trusted that very content.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from proxy.configuration.file import (
    FILE_NAME,
    MOST_BYTES,
    ConfigFile,
    expand_home,
    parse_config,
    read_content,
    unreadable,
)
from proxy.configuration.provenance import NOT_TRUSTED, TRUSTED, Origin
from proxy.configuration.settled import ConfigError
from proxy.configuration.small_file import NOT_THERE, NoRegularFile, SmallFile, read_small_file
from proxy.configuration.trust import TRUST_FOLDER, TrustList, place_of
from proxy.configuration.untrusted import limit_to_harmless, listed, withheld_keys

STATE_FOLDER = ".anyclaude"  # in the user's home
HOW_TO_TRUST = "anyclaude-tui config trust"

Ask = Callable[[ConfigFile, tuple[str, ...]], bool | None]
"""Ask the user about a file and the keys that would count; None: there was no answer."""


@dataclass(slots=True)
class ConfigFiles:
    """The files that count, the uppermost first, and the warnings about them."""

    files: list[ConfigFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def trust_list(user_home: Path) -> TrustList:
    """The user's decisions. No setting moves them: it could come from the file that they are about."""
    return TrustList(user_home / STATE_FOLDER / TRUST_FOLDER)


def gather_files(
    named: str, *, cwd: Path, user_home: Path, trust: TrustList, ask: Ask | None = None
) -> ConfigFiles:
    """Read the files of one run, each once.

    `named` is the file that was named, empty where none was. `ask` is called for a file of the working
    directory about which the user has not decided.

    Raises:
        ConfigError: a file that counts cannot be read or holds wrong values, or a named one is not there.
    """
    found = ConfigFiles()
    if named:
        found.files.append(_named_file(named, cwd, user_home))
    else:
        own = _usual_file(user_home / FILE_NAME, found)
        folders = None
        if not _same_place(cwd, user_home):
            folders = _usual_file(place_of(cwd / FILE_NAME), found)
        if folders is not None and own is not None and folders.identity == own.identity:
            folders = None  # the user's own file by another path
        if folders is not None:
            found.files.append(_folders_file(folders, found, trust, ask))
        if own is not None:
            found.files.append(_own_file(own))
    found.warnings += [warning for file in found.files for warning in file.warnings]
    found.warnings += trust.notices
    return found


def is_own_file(path: Path, user_home: Path) -> bool:
    """Is this the file in the user's home, by whatever path?"""
    try:
        return os.path.samefile(path, user_home / FILE_NAME)
    except OSError:
        return False


def _named_file(named: str, cwd: Path, user_home: Path) -> ConfigFile:
    path = cwd / expand_home(named, user_home)
    if not os.path.isfile(path):
        there = "is no regular file" if os.path.exists(path) else "is not there"  # such as the pipe of <(...)
        what = "is a folder" if os.path.isdir(path) else there
        raise ConfigError(f"the config file {path} {what}; name a file, or leave --config out")
    file = parse_config(read_content(path), Origin.NAMED_FILE)
    file.raise_problems()
    return file


def _own_file(content: SmallFile) -> ConfigFile:
    file = parse_config(content, Origin.OWN_FILE)
    file.raise_problems()
    return file


def _folders_file(content: SmallFile, found: ConfigFiles, trust: TrustList, ask: Ask | None) -> ConfigFile:
    """The working directory's file: what counts of it, by the user's decision about these very bytes."""
    file = parse_config(content, Origin.FOLDER_FILE)
    place = content.path
    withheld = withheld_keys(file)
    decision = trust.decision(place, content.data)
    if decision is None and withheld and ask is not None and not file.problems:
        decision = ask(file, withheld)
        if decision is not None:
            _remember(trust, content, decision, found)
    if decision:
        file.standing = TRUSTED
        file.raise_problems()
        return file
    limit_to_harmless(file)
    if withheld:
        file.standing = NOT_TRUSTED
        found.warnings.append(
            f"{place} is not trusted, so these keys of it are not obeyed: {listed(withheld)}; "
            f"look at it, then: {HOW_TO_TRUST}"
        )
    return file


def _remember(trust: TrustList, content: SmallFile, decision: bool, found: ConfigFiles) -> None:
    try:
        trust.remember(content.path, content.data, trusted=decision)
    except OSError as error:
        found.warnings.append(
            f"the answer counts for this time only: {error.filename or trust.folder} cannot be written "
            f"({error.strerror or error})"
        )


def _usual_file(path: Path, found: ConfigFiles) -> SmallFile | None:
    """The content of a file that need not be there."""
    try:
        return read_small_file(path, most=MOST_BYTES)
    except NoRegularFile as error:
        found.warnings.append(f"{path} {error.strerror}; it is passed over")
        return None
    except OSError as error:
        if error.errno in NOT_THERE:
            return None
        raise unreadable(path, error) from None


def _same_place(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
