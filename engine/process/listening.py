"""Is a port free, and a listening socket on it, bound before anything slow is imported.

A busy port is so reported at once. This module imports no mlx: engine, proxy and commands bind with it.
"""

from __future__ import annotations

import errno
import os
import socket

_CONNECT_S = 0.3
_WILDCARDS = {"": ("127.0.0.1",), "0.0.0.0": ("127.0.0.1",), "::": ("::1", "127.0.0.1")}  # `::` takes both


_BACKLOG = 2048


class CannotListen(Exception):
    """The port is taken (`busy`), or the address is not ours to listen on; raised by `bind`."""

    def __init__(self, host: str, port: int, number: int | None, reason: str) -> None:
        super().__init__(f"cannot listen on {host} port {port}: {reason}")
        self.address = f"{host}:{port}"
        self.port = port
        self.reason = reason
        self.number = number  # of the system's error, as in `errno`
        self.busy = number == errno.EADDRINUSE


def is_listened_to(host: str, port: int) -> bool:
    """Whether a program accepts connections at an address of this machine; False for other machines.

    Ask before binding, which alone does not show it: with SO_REUSEADDR macOS and BSD let one program have
    `127.0.0.1:8081` while another listens on `*:8081`, and the two then share what arrives there.
    """
    return any(_accepts(address, port) for address in _WILDCARDS.get(host, (host,)))


def _accepts(address: str, port: int) -> bool:
    with socket.socket(_family(address), socket.SOCK_STREAM) as asking:
        asking.settimeout(_CONNECT_S)
        try:
            asking.bind((address, 0))  # refused for an address that is not of this machine
            asking.connect((address, port))
            # A socket can meet itself, where the system gives it the very port that nobody listens on.
            return bool(asking.getsockname() != asking.getpeername())
        except (OSError, TypeError):
            return False


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises:
        CannotListen: the port is taken, or the address is not ours to listen on.
    """
    if port and is_listened_to(host, port):
        raise CannotListen(host, port, errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    listener = socket.socket(_family(host), socket.SOCK_STREAM)
    # For connections that linger after a server has ended, which must not keep the next one from the port.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except TypeError:  # how Python says that a name has an empty part, or one that never ends
        listener.close()
        raise CannotListen(host, port, None, "this is no name of a host") from None
    except OSError as error:
        listener.close()
        raise CannotListen(host, port, error.errno, _reason(error)) from error
    listener.setblocking(False)
    return listener


def _reason(error: OSError) -> str:
    """The system's words; the number of a name that is not found is none of `errno`."""
    if error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
