"""Connections to public addresses only: a page must not reach this machine, or its network, through us.

The name is resolved here, all its addresses are checked, and the connection goes to one of them: a server of
names that answers differently the next time (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore

from proxy.web.results import WebError

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""From a host and a port to the host's addresses; raises OSError if there are none."""

# All that IANA has assigned to hosts of the internet (RFC 4291). Outside lie the sites' own addresses, and
# those of IPv4 hosts that a translator of the network would lead on to (RFC 4291, 6052, 7915).
_UNICAST = IPv6Network("2000::/3")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet."""
    try:
        found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or found
    if isinstance(found, IPv6Address) and found not in _UNICAST:
        return False
    return found.is_global and not found.is_multicast


async def system_addresses(host: str, port: int) -> list[str]:
    """The addresses of a host as the system resolves it."""
    rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


class PublicNetwork(httpcore.AsyncNetworkBackend):
    """Connects httpcore to public addresses only; raises `WebError` for all others."""

    def __init__(
        self, resolve: Resolve = system_addresses, network: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._resolve = resolve
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except OSError:
            addresses = []
        if not addresses:
            raise WebError("url_not_accessible", "the page's host has no address")
        if not all(is_public(address) for address in addresses):
            raise WebError("url_not_allowed", "the page's host is not a public one")
        last = len(addresses) - 1
        for number, address in enumerate(addresses):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == last:
                    raise
        raise AssertionError("there is an address")

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise WebError("url_not_allowed", "the page is not on the web")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)
