"""Finds the host that `status` and `stop` are about: on its port, else by the file that it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.process.listening import is_listened_to
from engine.process.loopback import is_loopback_name
from engine.process.port_holder import port_holder
from proxy.configuration.destination import public_url
from proxy.configuration.settled import HostConfig
from proxy.configuration.settling import Settled
from proxy.host_record import HostRecord, recorded_hosts
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.port_check import is_host


@dataclass(frozen=True, slots=True)
class RunningHost:
    """A host to be asked; `record` is the file of the one at this address, if there is one."""

    url: str
    config: HostConfig
    record: HostRecord | None = None

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine."""
        return is_loopback_name(urlsplit(self.url).hostname or "")


def find_host(invocation: Invocation, settled: Settled | None = None) -> RunningHost:
    """The host of `--attach`, the one on the configured port, else the only one with this state folder.

    `settled` is the invocation's configuration where it was settled before.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: there is none, another program has its port, or there are several.
    """
    settled = settled or invocation.settle()
    config = settled.config
    records = recorded_hosts(config.home)
    if invocation.attach:
        url = invocation.base_url(settled)
        return RunningHost(url, config, _at(url, records))
    where = f"with its data in {config.home}"
    if config.port:
        url = invocation.base_url(settled)
        record = _at(url, records)
        if record is not None or is_host(url):
            return RunningHost(url, config, record)
        where = f"on {url}"
    if records and not invocation.options.get("port"):
        if len(records) > 1:
            ports = ", ".join(str(urlsplit(record.url).port) for record in records)
            raise CommandFailed(
                ExitCode.USAGE,
                f"no host runs {where}, but {len(records)} others do: name one, --port {ports}",
            )
        say(f"no host runs {where}; this is the one on {public_url(records[0].url)}")
        return RunningHost(records[0].url, config, records[0])
    held = ""
    if config.port and is_listened_to(config.host, config.port):
        held = f"; the port is held by {port_holder(config.port) or 'another program'}"
    raise CommandFailed(ExitCode.FAILED, f"no host runs {where}{held}")


def _at(url: str, records: list[HostRecord]) -> HostRecord | None:
    """The record of the host at an address of this machine."""
    parts = urlsplit(url)
    if not is_loopback_name(parts.hostname or ""):
        return None
    return next((record for record in records if urlsplit(record.url).port == parts.port), None)
