"""Checks Claude Code: the program, its version, and settings that would send it elsewhere.

Names and places of Claude Code 2.1.332.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from engine.options.kinds import masked_address
from tui.commands.claude_environment import OTHER_PROVIDERS
from tui.commands.claude_program import TESTED_VERSION, find_claude, named_by_variable
from tui.commands.doctor.examination import Examination
from tui.commands.doctor.findings import Check, Finding, failed, ok, warning
from tui.commands.exit_codes import CommandFailed
from tui.commands.managed_settings import SettingsFiles, read_managed
from tui.commands.user_settings import named_settings_files

_ADDRESS = "ANTHROPIC_BASE_URL"
_OFF = ("", "0", "false", "no", "off")


def check_program(examination: Examination) -> Finding:
    """Is Claude Code installed?"""
    environ = examination.environ
    notices: list[str] = []
    try:
        examination.claude = find_claude(named_by_variable(environ), environ, notify=notices.append)
    except CommandFailed as error:
        evidence, _, advice = error.message.partition("; ")
        advice = advice.partition("   (")[0]  # an option of another command
        return failed(evidence, f"{advice}; or set ANYCLAUDE_CLAUDE to the program")
    return ok("; ".join(notices) or examination.claude)


def check_version(examination: Examination) -> Finding:
    """Is it the version that this release was tested with?"""
    program = examination.claude
    quiet = {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    try:
        ended = examination.edge.run([program, "--version"], {**examination.environ, **quiet})
    except (OSError, subprocess.TimeoutExpired) as error:
        return failed(f"{program} cannot be run: {error}", "install Claude Code again")
    found = re.search(r"\d+\.\d+\.\d+\S*", ended.stdout)
    if ended.returncode or found is None:
        said = (ended.stderr or ended.stdout).strip().splitlines() or ["nothing"]
        return failed(
            f"{program} --version ended with {ended.returncode} and said: {said[-1][:200]}",
            "install Claude Code again; it needs Node.js",
        )
    if found[0] != TESTED_VERSION:
        return warning(
            f"version {found[0]}; this release was tested with {TESTED_VERSION}",
            f"it will most likely work; if not: npm install -g @anthropic-ai/claude-code@{TESTED_VERSION}",
        )
    return ok(f"version {found[0]}, with which this release was tested")


def check_own_settings(examination: Examination) -> Finding:
    """Do the user's own settings files lead a Claude Code that is started by hand elsewhere?"""
    edge = examination.edge
    files = named_settings_files(examination.environ, edge.cwd, edge.user_home)
    return _judged(
        examination,
        files,
        'a claude started by hand would go there, also after eval "$(anyclaude-tui env)"; remove it from '
        "that file, or use anyclaude-tui claude, whose settings come first",
    )


def check_managed_settings(examination: Examination) -> Finding:
    """Do managed settings, which come before all others, lead Claude Code elsewhere?"""
    return _judged(
        examination,
        read_managed(examination.edge.managed),
        "nothing of ours comes before managed settings: ask whoever manages this machine to remove it, or "
        "use a machine without",
    )


def _judged(examination: Examination, files: SettingsFiles, advice: str) -> Finding:
    overrides = [
        f"{path}: {fault}" for path, settings in files for fault in _overrides(settings, examination.url)
    ]
    unreadable = [str(path) for path, settings in files if settings is None]
    if overrides:
        return failed("; ".join(overrides), advice)
    if unreadable:
        return warning(
            f"{', '.join(unreadable)} cannot be read as settings", "mend it: Claude Code reports it too"
        )
    read = [str(path) for path, _ in files]
    return ok(f"nothing in {', '.join(read)} changes the address" if read else "there are none")


def _overrides(settings: Mapping[str, Any] | None, url: str) -> Iterator[str]:
    env = settings.get("env") if settings is not None else None
    if not isinstance(env, Mapping):
        return
    address = env.get(_ADDRESS)
    if isinstance(address, str) and address and address.rstrip("/") != url.rstrip("/"):
        yield f"its env sets {_ADDRESS} to {masked_address(address)[:200]}"
    for name in OTHER_PROVIDERS:
        if str(env.get(name, "")).lower() not in _OFF:
            yield f"its env sets {name}, another provider"


CHECKS = (
    Check("claude.program", "Claude Code", check_program),
    Check("claude.version", "its version", check_version, ("claude.program",)),
    Check("claude.settings", "your settings", check_own_settings),
    Check("claude.managed", "managed settings", check_managed_settings),
)
