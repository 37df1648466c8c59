"""Which models, also draft models and adapters, the hosts of this user have now."""

from __future__ import annotations

import asyncio

import psutil

from engine import bundled_model
from proxy.configuration.known_backends import backend_kind
from proxy.configuration.settling import Settled
from tui.client.host_client import HostError, host_state
from tui.commands.doctor.examination import own_processes
from tui.commands.doctor.other_hosts import host_command
from tui.commands.invocation import local_url, token_refusal
from tui.commands.port_check import is_host

UNKNOWN = ""
"""The model of a host that does not say which it has."""


def running_models(settled: Settled) -> dict[str, list[str]]:
    """Addresses of hosts by the folder or id that they have; `UNKNOWN` for those that do not say.

    An engine reports the last name of its folder alone, which does not say where that is.
    """
    config = settled.config
    sure: list[str] = []  # addresses of hosts, also of one that hangs
    for pid, command in own_processes():
        if host_command(command):
            sure += [local_url("127.0.0.1", port) for port in _ports(pid)]
    urls = [local_url(config.host, config.port)] if config.port else []
    found: dict[str, list[str]] = {}
    for url in dict.fromkeys(urls + sure):
        silent = [UNKNOWN] if url in sure else []
        for model in _models(settled, url) if is_host(url) else silent:
            found.setdefault(model, []).append(url)
    return found


def _models(settled: Settled, url: str) -> list[str]:
    token = "" if token_refusal(settled, url) else settled.config.token
    try:
        state = asyncio.run(host_state(url, token))
    except HostError:
        return [UNKNOWN]
    if backend_kind(state.backend) != "mlx":
        return []
    return state.loads or [state.model or bundled_model.NAME]  # a host of an older version says less


def _ports(pid: int) -> list[int]:
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return []
    return sorted({each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN})
