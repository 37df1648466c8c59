"""`anyclaude-tui` without a command: the control center, with its own host or attached to another."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine.process.descriptors import raise_descriptor_limit
from engine.process.loopback import is_loopback_name
from engine.process.private_files import private_folder
from proxy.configuration.destination import public_url, without_password
from proxy.configuration.settled import HostConfig
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.port_check import check_ports
from tui.commands.program_name import claude_command
from tui.commands.trust_question import question

if TYPE_CHECKING:
    from proxy.events.types import HostState


def run_screen(invocation: Invocation) -> int:
    """Show the screen until the user quits; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: there is no terminal, a port is busy, or no host answers at `--attach`.
    """
    dumb = invocation.environ.get("TERM") == "dumb"
    why = f"the screen needs a terminal{' that can move its cursor (TERM is dumb)' if dumb else ''}"
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and not dumb
    asks = terminal and not invocation.attach
    settled = invocation.settle(question(invocation.environ) if asks else None)
    config = settled.config
    if not terminal:
        raise CommandFailed(
            ExitCode.USAGE,
            f"{why}; without one, use: anyclaude-tui --no-ui",
        )
    if invocation.attach:
        from tui.commands.narration import destination_of

        url = invocation.base_url(settled)
        state = asyncio.run(_must_answer(url, config.token))
        say(f"requests go to {destination_of(state)}, according to the host on {public_url(url)}")
        own = invocation.own_file if is_loopback_name(urlsplit(url).hostname or "") else None
        return _show(config, url, claude_command(urlsplit(url).port or 0, invocation.environ), own)
    check_ports(config)
    for line in settled.account:
        say(line)
    return _show(config, None, claude_command(config.port, invocation.environ), invocation.own_file)


def _show(config: HostConfig, attach_url: str | None, claude: str, own: Path | None) -> int:
    raise_descriptor_limit()
    from tui.client.host_process import HostProcess
    from tui.screen.app import run_app
    from tui.screen.theme_choice import FILE_NAME

    logs = private_folder(config.home / "logs")
    host = HostProcess(config, log_path=logs / "host.log") if attach_url is None else None
    code = run_app(
        host,
        attach_url,
        claude=claude,
        token=config.token,
        log_path=logs / "screen.log",
        theme_path=config.home / FILE_NAME,
        own_file=own,
    )
    for line in host.report if host is not None else ():
        say(line)
    return code


async def _must_answer(url: str, token: str) -> HostState:
    from tui.client.host_client import HostError, host_state

    try:
        return await host_state(url, token)
    except HostError as error:
        address = without_password(url.rstrip("/"))
        raise CommandFailed(ExitCode.USAGE, f"no host to attach to on {address}: {error}") from None
