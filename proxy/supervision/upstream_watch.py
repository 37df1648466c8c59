"""Watches an upstream that is not ours: whether its address accepts connections.

A probe is a TCP connection that is closed at once: it sends no key, no prompt and no request, and costs the
server nothing. That the address accepts connections does not say that answers come; the results of requests
do, and a screen shows both.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from engine.process.loopback import is_loopback_name
from proxy.events.bus import EventBus
from proxy.events.types import Probe
from proxy.supervision.status import KEPT_PROBES
from proxy.supervision.task_end import end_tasks

EVERY_S = 30.0
FAR_EVERY_S = 120.0  # of a server on another machine
AGAIN_S = 5.0  # while it does not answer
TIMEOUT_S = 5.0


def probed_address(url: str, proxies: Mapping[str, str] | None = None) -> tuple[str, int] | None:
    """Host and port to connect to; None where requests go through a web proxy.

    `proxies` are those of this machine, by scheme, unless given.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if not host:
        return None
    proxies = getproxies() if proxies is None else proxies
    through = proxies.get(parts.scheme) or proxies.get("all")
    if through and not is_loopback_name(host) and not proxy_bypass(host):
        return None
    return host, port


class UpstreamWatch:
    """Probes one address as long as it runs; the bus has each probe."""

    def __init__(
        self,
        url: str,
        bus: EventBus,
        *,
        every_s: float | None = None,
        again_s: float = AGAIN_S,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.probes: deque[tuple[float, Probe]] = deque(maxlen=KEPT_PROBES)
        self._address = probed_address(url)
        near = self._address is not None and is_loopback_name(self._address[0])
        self._every = every_s or (EVERY_S if near else FAR_EVERY_S)
        self._again = again_s
        self._timeout = timeout_s
        self._bus = bus
        self._clock = clock
        self._monotonic = monotonic
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to probe, unless a web proxy stands between."""
        if self._address is not None:
            self._task = asyncio.create_task(self._run(*self._address))

    async def stop(self) -> None:
        """Stop to probe."""
        if self._task is not None:
            await end_tasks(self._task)

    async def _run(self, host: str, port: int) -> None:
        while True:
            probe = await self._probe(host, port)
            self.probes.append((self._clock(), probe))
            self._bus.publish("upstream.probe", probe)
            await asyncio.sleep(self._every if probe.ok else min(self._again, self._every))

    async def _probe(self, host: str, port: int) -> Probe:
        began = self._monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                _, writer = await asyncio.open_connection(host, port)
        except TimeoutError:
            return Probe(ok=False, latency_s=self._timeout, detail="no answer in time")
        except OSError as error:
            return Probe(ok=False, detail=_reason(error))
        latency = round(self._monotonic() - began, 6)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return Probe(ok=True, latency_s=latency)


def _reason(error: OSError) -> str:
    """In a few words: asyncio's own name the address as well, which stands beside it."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    return error.strerror or str(error) or type(error).__name__
