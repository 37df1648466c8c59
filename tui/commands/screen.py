"""`anyclaude-tui` itself: the control center, with a host of its own or on one that runs elsewhere."""

from __future__ import annotations

import asyncio
import sys

from proxy.config import HostConfig
from proxy.state_folder import private_folder
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.port_check import check_ports


def run_screen(invocation: Invocation) -> int:
    """Show the screen until it is left; returns the exit code.

    Raises:
        proxy.config.ConfigError: the configuration is wrong.
        CommandFailed: there is no terminal, a port is busy, or no host answers where one should.
    """
    config = invocation.settle().config
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandFailed(
            ExitCode.USAGE,
            "the screen needs a terminal, and this is none; start without one: anyclaude-tui --no-ui",
        )
    if invocation.attach:
        url = invocation.base_url(config)
        asyncio.run(_must_answer(url, config.token))
        return _show(config, url)
    check_ports(config)
    return _show(config, None)


def _show(config: HostConfig, attach_url: str | None) -> int:
    from tui.app import run_app
    from tui.host_process import HostProcess

    logs = private_folder(config.home / "logs")
    host = HostProcess(config, log_path=logs / "host.log") if attach_url is None else None
    return run_app(host, attach_url, token=config.token, log_path=logs / "screen.log")


async def _must_answer(url: str, token: str) -> None:
    from tui.host_client import HostClient, HostError

    client = HostClient(url, token)
    try:
        await client.state()
    except HostError as error:
        raise CommandFailed(ExitCode.USAGE, f"no host to attach to on {url}: {error}") from None
    finally:
        await client.close()
