"""The options of one run of `anyclaude-tui`, before its command."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.commands.exit_codes import CommandFailed, ExitCode

if TYPE_CHECKING:
    from proxy.configuration.files import Ask
    from proxy.configuration.settling import Settled


def say(line: str) -> None:
    """Print one line on stderr; stdout is for data. Control characters are replaced."""
    if not line.isprintable():
        line = "".join(char if char.isprintable() or char == "\t" else "?" for char in line)
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError:
        pass  # stderr is closed; the command continues


@dataclass(frozen=True)
class Invocation:
    """The options before the command, and the environment."""

    options: Mapping[str, Any] = field(
        default_factory=dict
    )  # as `proxy.configuration.settling.settle` takes them
    attach: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def over(self, *, attach: str | None = None, **options: Any) -> Invocation:
        """This one with the options that stand after the command over those before it."""
        given = {name: value for name, value in options.items() if value is not None}
        return Invocation({**self.options, **given}, attach or self.attach, self.environ)

    def settle(self, ask: Ask | None = None) -> Settled:
        """Settle the configuration and print its warnings. `ask` asks about the working directory's file.

        Raises:
            proxy.configuration.settled.ConfigError: one line for each problem.
            CommandFailed: there is no working directory or no home.
        """
        from proxy.configuration.settled import ConfigError
        from proxy.configuration.settling import (
            settle,  # not for --help: the wire models take 100 ms to import
        )

        cwd, user_home = surroundings()
        warnings: Sequence[str] = ()
        try:
            settled = settle(self.options, environ=self.environ, cwd=cwd, user_home=user_home, ask=ask)
            warnings = settled.warnings
        except ConfigError as error:
            warnings = error.warnings
            raise
        finally:
            for warning in warnings:
                say(f"warning: {warning}")
        return settled

    @property
    def own_file(self) -> Path:
        """The file that the user's settings are written to: the named one, else that in the home."""
        from proxy.configuration.file import FILE_NAME, expand_home
        from proxy.configuration.settings import CONFIG_FILE

        cwd, user_home = surroundings()
        named = self.options.get("config") or self.environ.get(CONFIG_FILE.env, "")
        return cwd / expand_home(named, user_home) if named else user_home / FILE_NAME

    def base_url(self, settled: Settled) -> str:
        """The address of the host for commands: `--attach`, else the configured port on this machine.

        Raises:
            CommandFailed: the address is invalid, the port is 0, the token must not be sent there, or another
                user of this machine listens there.
        """
        if self.attach:
            return attach_url(self.attach)
        config = settled.config
        if config.port == 0:
            raise CommandFailed(
                ExitCode.USAGE, "port 0 is any free port, so the host's address is unknown; name its port"
            )
        url = local_url(config.host, config.port)
        if refusal := token_refusal(settled, url):
            raise CommandFailed(ExitCode.USAGE, refusal)
        from engine.process.port_owner import is_another_users

        if is_another_users(config.port):
            raise CommandFailed(
                ExitCode.PORT_BUSY,
                f"port {config.port} is held by a program of another user of this machine, who would see "
                "your prompts and keys; choose another port with --port, or, if you mean that program: "
                f"--attach {url}",
            )
        return url


def surroundings() -> tuple[Path, Path]:
    """The working directory and the user's home.

    Raises:
        CommandFailed: one of them is missing, or the home is no absolute path.
    """
    try:
        cwd, user_home = Path.cwd(), Path.home()
    except (OSError, RuntimeError) as error:
        raise CommandFailed(
            ExitCode.USAGE, f"the working directory or the home folder is gone: {error}"
        ) from None
    if not user_home.is_absolute():  # else files of the working directory would count as the user's own
        raise CommandFailed(ExitCode.USAGE, f"the home folder is {user_home}; HOME must be an absolute path")
    return cwd, user_home


def check_own_account(settled: Settled, url: str) -> None:
    """Check that the client may send its own credentials to the configured address.

    Raises:
        CommandFailed: the working directory's file names that address, which only the user may do.
    """
    from proxy.configuration.provenance import Origin

    for part in (settled.sources["host"], settled.sources["port"]):
        if part.origin is Origin.FOLDER_FILE:
            raise CommandFailed(
                ExitCode.USAGE,
                f"the client's own credentials are not sent to {url}, an address from {part.described}; "
                f"if that is your host, use: --attach {url}",
            )


def token_refusal(settled: Settled, url: str) -> str:
    """Why the host's token must not be sent to the configured address; empty if it may."""
    from engine.process.loopback import is_loopback_name
    from proxy.configuration.provenance import Origin, may_be_sent

    config, sources = settled.config, settled.sources
    address = [sources["host"], sources["port"]]
    if not config.token or may_be_sent(sources["token"], address):
        return ""
    others = [part for part in address if not may_be_sent(sources["token"], [part])]
    here = is_loopback_name(config.host) or config.host in ("0.0.0.0", "::")
    # On this machine, port and token may come from different sources of the user.
    if here and all(part.origin is not Origin.FOLDER_FILE for part in others):
        return ""
    return (
        f"the token ({sources['token'].described}) is not sent to {url}, an address from "
        f"{others[0].described}; if that is your host, use: --attach {url}"
    )


def local_url(host: str, port: int) -> str:
    """The address at which this machine reaches a host that listens on `host`."""
    if host in ("0.0.0.0", ""):
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def attach_url(text: str) -> str:
    """The address of `--attach`, with `http://` added if it is missing.

    Raises:
        CommandFailed: it is not an address.
    """
    from engine.options.kinds import URL, checked

    given = text if "://" in text else f"http://{text}"
    try:
        return str(checked(URL, given, "--attach"))
    except ValueError as error:
        raise CommandFailed(ExitCode.USAGE, str(error)) from None
