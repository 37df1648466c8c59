"""`anyclaude-tui env`: prints the environment for a Claude Code that the user starts, as shell commands."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from contextlib import suppress
from pathlib import Path
from shlex import quote

from proxy.configuration.destination import public_url
from proxy.configuration.known_backends import backend_kind
from tui.client.host_client import HostError, host_state
from tui.commands import auto_mode
from tui.commands.claude_environment import ClaudeEnvironment, claude_environment
from tui.commands.claude_window import WINDOW, own_values
from tui.commands.invocation import Invocation, check_own_account, say
from tui.commands.managed_settings import managed_settings_files, precedence_notices, read_managed
from tui.commands.model_size import on_diet
from tui.commands.narration import destination_of
from tui.commands.user_settings import named_settings_files, read_user_settings


def run_env(invocation: Invocation, *, as_json: bool = False, fish: bool = False) -> int:
    """Print the environment; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`.
    """
    settled = invocation.settle()
    config, url = settled.config, invocation.base_url(settled)
    state = None
    with suppress(HostError):
        state = asyncio.run(host_state(url, config.token, with_window=True))
    if state is None:
        say(f"note: no host answers on {public_url(url)} yet; start one with: anyclaude-tui")
    else:
        say(f"requests go to {destination_of(state)}, according to the host on {public_url(url)}")
    theirs = read_user_settings((), environ=invocation.environ, cwd=Path.cwd(), user_home=Path.home())
    environment = claude_environment(
        url,
        token=config.token,
        backend=backend_kind(state.backend) if state else config.backend,
        backend_name=state.backend if state else config.backend_name,
        model=state.model if state else config.model,
        context_tokens=(state.engine.context_tokens if state else 0) or config.context_tokens,
        environ=invocation.environ,
        own=own_values(theirs, invocation.environ),
        no_proxy=theirs.variable("NO_PROXY") or theirs.variable("no_proxy"),
        diet=on_diet(config.prompt_diet, state.model if state else config.model),
    )
    if environment.own_account and not invocation.attach:
        check_own_account(settled, url)
    if environment.remark and (state is not None or WINDOW in environment.variables):
        say(f"note: {environment.remark}")
    answered = environment.own_account or (state is not None and state.auto_mode)
    if not answered and not auto_mode.is_off(theirs.layers):
        say(f"note: {auto_mode.MANUAL_COMMAND}")
    first = named_settings_files(invocation.environ, Path.cwd(), Path.home())
    for notice in precedence_notices(environment, [*read_managed(managed_settings_files()), *first]):
        say(f"note: {notice}")
    sys.stdout.write(as_text(environment, as_json=as_json, fish=fish))
    return 0


def as_text(environment: ClaudeEnvironment, *, as_json: bool, fish: bool) -> str:
    """The environment for `eval` in sh, bash and zsh, for `source` in fish, or as JSON (null: unset)."""
    if as_json:
        return json.dumps({**environment.variables, **dict.fromkeys(environment.unset)}, indent=2) + "\n"
    if fish:
        lines = [f"set -e {name}" for name in environment.unset]
        lines += [f"set -gx {name} {_fish(value)}" for name, value in environment.variables.items()]
    else:
        lines = [f"unset {name}" for name in environment.unset]
        lines += [f"export {name}={quote(value)}" for name, value in environment.variables.items()]
    return "\n".join(lines) + "\n"


def _fish(value: str) -> str:
    return "'" + re.sub(r"([\\'])", r"\\\1", value) + "'"
