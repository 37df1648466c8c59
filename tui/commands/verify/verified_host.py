"""The host that a check asks: one that runs, or one of its own on free ports, stopped afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from engine.process.loopback import is_loopback_name
from proxy.configuration.known_backends import BackendKind, backend_kind
from proxy.configuration.settling import Settled
from proxy.events.types import HostState
from tui.client.host_client import HostClient
from tui.client.host_process import HostProcess
from tui.commands.claude_session import joined_or_started, until_ready
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, local_url, say
from tui.commands.narration import SERVING
from tui.commands.port_check import is_host

RESTART_S = 600.0  # a big model loads from a slow disk
_PAUSE_S = 0.1


@dataclass(slots=True)
class VerifiedHost:
    """A host that is ready to answer; `process` is None for one that ran before."""

    client: HostClient
    settled: Settled
    state: HostState
    process: HostProcess | None

    @property
    def backend(self) -> BackendKind:
        return backend_kind(self.state.backend)

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, so that its engine and its files can be reached."""
        return is_loopback_name(urlsplit(self.client.url).hostname or "")

    async def until_restarted(self, before: int | None) -> None:
        """Wait for an engine with another process than `before`.

        Raises:
            HostError: the host does not answer.
            CommandFailed: the engine failed, or did not come back in time.
        """
        try:
            async with asyncio.timeout(RESTART_S):
                while True:
                    self.state = await self.client.state()
                    engine = self.state.engine
                    if engine.state in SERVING and engine.pid not in (None, before):
                        return
                    if engine.state == "failed":
                        raise CommandFailed(
                            ExitCode.ENGINE_FAILED, f"the engine did not start again: {engine.detail}"
                        )
                    await asyncio.sleep(_PAUSE_S)
        except TimeoutError:
            raise CommandFailed(
                ExitCode.ENGINE_FAILED, f"the engine was not ready again within {RESTART_S:.0f} s"
            ) from None


@dataclass(frozen=True, slots=True)
class HostChoice:
    """Which host a check asks, decided before anything starts."""

    invocation: Invocation
    settled: Settled


def choose_host(invocation: Invocation, *, beside_host: bool) -> HostChoice:
    """The running host; where there is none, or `beside_host`, one of its own on free ports.

    Raises:
        proxy.configuration.settled.ConfigError, CommandFailed: see `Invocation`; or `beside_host` leads
        nowhere.
    """
    settled = invocation.settle()
    config = settled.config
    if invocation.attach:
        if beside_host:
            raise CommandFailed(ExitCode.USAGE, "--attach names a host, --beside-host starts another one")
        return HostChoice(invocation, settled)
    if config.port and not beside_host and is_host(local_url(config.host, config.port)):
        return HostChoice(invocation, settled)
    free = replace(config, port=0, engine_port=0 if config.manage_engine else config.engine_port)
    return HostChoice(invocation, replace(settled, config=free))


@asynccontextmanager
async def verified_host(choice: HostChoice) -> AsyncIterator[VerifiedHost]:
    """The chosen host, when its model can answer.

    Raises:
        tui.client.host_process.HostFailed, CommandFailed: there is none.
    """
    async with joined_or_started(choice.invocation, choice.settled) as (url, process):
        client = HostClient(url, choice.settled.config.token)
        try:
            state = await until_ready(client, process)
            model = state.model or "the bundled demo model"
            say(f"asking {url} ({state.backend}, {model})")
            yield VerifiedHost(client, choice.settled, state, process)
        finally:
            await client.close()
