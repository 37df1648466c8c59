"""Another server's address is probed by connections alone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from proxy.events.bus import EventBus
from proxy.events.types import EventData, Probe
from proxy.supervision.upstream_watch import UpstreamWatch, probed_address


@pytest.mark.parametrize(
    ("url", "proxies", "address"),
    [
        ("http://127.0.0.1:1234/v1", {}, ("127.0.0.1", 1234)),
        ("https://api.example.com", {}, ("api.example.com", 443)),
        ("http://host.example", {"https": "http://p:1"}, ("host.example", 80)),
        ("https://api.example.com", {"https": "http://p:1"}, None),
        ("https://api.example.com", {"all": "http://p:1"}, None),
        ("http://127.0.0.1:1234/v1", {"http": "http://p:1"}, ("127.0.0.1", 1234)),
        ("http://[::1]:9/v1", {}, ("::1", 9)),
        ("http://x:notaport", {}, None),
        ("", {}, None),
    ],
)
def test_where_a_probe_goes(url: str, proxies: dict[str, str], address: tuple[str, int] | None) -> None:
    assert probed_address(url, proxies) == address


async def test_a_server_that_goes_and_comes_back_is_noticed() -> None:
    bus, seen = EventBus(), asyncio.Queue[Probe]()

    def listen(type: str, request: str | None, data: EventData) -> None:
        assert isinstance(data, Probe)
        seen.put_nowait(data)

    async def until(wanted: Callable[[Probe], bool]) -> Probe:
        async with asyncio.timeout(10):
            while not wanted(probe := await seen.get()):
                pass
        return probe

    bus.listen(listen)
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    watch = UpstreamWatch(f"http://127.0.0.1:{port}/v1", bus, every_s=0.01)
    watch.start()
    try:
        assert (await until(lambda probe: probe.ok)).latency_s > 0
        server.close()
        refused = await until(lambda probe: not probe.ok)
        assert refused.detail == "connection refused: nothing listens there"
        with socket.create_server(("127.0.0.1", port)):
            await until(lambda probe: probe.ok)
    finally:
        server.close()
        await watch.stop()
    assert watch.probes[0][1].ok
