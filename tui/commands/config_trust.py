"""`anyclaude-tui config trust`: which configuration files of working directories are obeyed whole."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

from engine.options.kinds import printable
from proxy.configuration.file import FILE_NAME, expand_home, parse_config, read_content
from proxy.configuration.files import is_own_file, trust_list
from proxy.configuration.provenance import Origin
from proxy.configuration.trust import Decision, TrustList, content_hash, place_of
from proxy.configuration.untrusted import withheld_keys
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import say, surroundings
from tui.commands.output import write_data
from tui.commands.trust_question import setting_lines


def run_config_trust(named: str, *, revoke: bool, listing: bool, as_json: bool) -> int:
    """Trust the file, take that back, or list what was decided; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the file cannot be read or holds wrong values.
        CommandFailed: the options do not fit together, there is no such file, or it is none that needs trust.
    """
    cwd, user_home = surroundings()
    if as_json and not listing:
        raise CommandFailed(ExitCode.USAGE, "--json is for --list")
    trust = trust_list(user_home)
    if listing:
        if named or revoke:
            raise CommandFailed(ExitCode.USAGE, "--list lists all files; leave FILE and --revoke out")
        return _list(trust, as_json)
    path = _place(named, cwd, user_home)
    if revoke:
        return _revoke(trust, path)
    if is_own_file(path, user_home):
        say(f"{path} is your own file: it counts without being trusted")
        return ExitCode.FINE
    return _trust(trust, path)


def _trust(trust: TrustList, path: Path) -> int:
    if not os.path.lexists(path):
        raise CommandFailed(ExitCode.USAGE, f"{path} is not there; name a {FILE_NAME}, or its folder")
    content = read_content(path)  # once: what is shown is what is trusted
    file = parse_config(content, Origin.FOLDER_FILE)
    file.raise_problems()
    for warning in file.warnings:
        say(f"warning: {warning}")
    try:
        trust.remember(path, content.data, trusted=True)
    except OSError as error:
        raise CommandFailed(
            ExitCode.USAGE, f"{error.filename or trust.folder} cannot be written: {error.strerror or error}"
        ) from None
    keys = withheld_keys(file)
    say(f"trusted, until it changes: {path}" + ("; it now also sets:" if keys else ""))
    for line in setting_lines(file, keys):
        say(f"  {line}")
    return ExitCode.FINE


def _revoke(trust: TrustList, path: Path) -> int:
    try:
        count = trust.forget(path)
    except OSError as error:
        raise CommandFailed(
            ExitCode.USAGE, f"{error.filename or trust.folder} cannot be removed: {error.strerror or error}"
        ) from None
    _say_notices(trust)
    if not count:
        raise CommandFailed(ExitCode.USAGE, f"nothing was decided about {path}; see --list")
    say(f"no longer trusted, and asked about anew: {path}")
    return ExitCode.FINE


def _list(trust: TrustList, as_json: bool) -> int:
    decisions = trust.decisions()
    _say_notices(trust)
    if as_json:
        rows = [asdict(decision) | {"state": _state(decision)} for decision in decisions]
        write_data("".join(json.dumps(row) + "\n" for row in rows))
        return ExitCode.FINE
    if not decisions:
        say("nothing was decided about any file")
    for decision in decisions:
        day = time.strftime("%Y-%m-%d", time.localtime(decision.time))
        write_data(f"{_state(decision):<18}{day}  {printable(decision.file, 1000)}\n")
    return ExitCode.FINE


def _state(decision: Decision) -> str:
    """How a decision counts for the file as it is now."""
    said = "trusted" if decision.trusted else "refused"
    try:
        now = content_hash(read_content(Path(decision.file)).data)
    except ValueError:
        return f"{said}, gone"
    return said if now == decision.sha256 else f"{said}, changed"


def _place(named: str, cwd: Path, user_home: Path) -> Path:
    """The file that is meant: in the working directory, in the folder that was named, or itself."""
    path = cwd / expand_home(named, user_home) if named else cwd / FILE_NAME
    if path.name != FILE_NAME and os.path.isdir(path):
        path = path / FILE_NAME
    if path.name != FILE_NAME:
        raise CommandFailed(
            ExitCode.USAGE,
            f"{path}: only a {FILE_NAME} of a working directory needs trust; another file counts when it is "
            "named with --config",
        )
    return place_of(path)


def _say_notices(trust: TrustList) -> None:
    for notice in trust.notices:
        say(f"warning: {notice}")
