"""What one run of `anyclaude-tui` was asked for, before any command looks at it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.commands.exit_codes import CommandFailed, ExitCode

if TYPE_CHECKING:
    from proxy.config import HostConfig
    from proxy.config_settling import Settled


def say(line: str) -> None:
    """One line of narration, on stderr: stdout is for data."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError:
        pass  # nobody listens any more; what was asked for goes on


@dataclass(frozen=True)
class Invocation:
    """The options before the command, and the surroundings they are read in."""

    options: Mapping[str, Any] = field(default_factory=dict)  # as `proxy.config_settling.settle` takes them
    attach: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def settle(self) -> Settled:
        """The configuration; its warnings are said.

        Raises:
            proxy.config.ConfigError: one line for each thing that is wrong.
            CommandFailed: there is no working directory or no home.
        """
        from proxy.config_settling import settle  # not for --help: the wire models take 100 ms to import

        try:
            cwd, user_home = Path.cwd(), Path.home()
        except (OSError, RuntimeError) as error:
            raise CommandFailed(
                ExitCode.USAGE, f"the working directory or the home folder is gone: {error}"
            ) from None
        settled = settle(self.options, environ=self.environ, cwd=cwd, user_home=user_home)
        for warning in settled.warnings:
            say(f"warning: {warning}")
        return settled

    def base_url(self, config: HostConfig) -> str:
        """The address of the host that commands talk to: `--attach`, else the configured port here.

        Raises:
            CommandFailed: the address is none, or the port is not settled.
        """
        if self.attach:
            return attach_url(self.attach)
        if config.port == 0:
            raise CommandFailed(
                ExitCode.USAGE, "port 0 is any free port, so nobody can say where the host is; name its port"
            )
        return local_url(config.host, config.port)


def local_url(host: str, port: int) -> str:
    """Where a host that listens on `host` is reached from this machine."""
    if host in ("0.0.0.0", ""):
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def attach_url(text: str) -> str:
    """The address after `--attach`, with what people leave out.

    Raises:
        CommandFailed: it is no address.
    """
    from proxy.config_values import URL, checked

    given = text if "://" in text else f"http://{text}"
    try:
        return str(checked(URL, given, "--attach"))
    except ValueError as error:
        raise CommandFailed(ExitCode.USAGE, str(error)) from None
