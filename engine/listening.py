"""The engine's socket, bound before anything slow is imported, so that a busy port is told at once."""

from __future__ import annotations

import os
import socket


class PortBusy(Exception):
    """The address cannot be listened on; raised by `bind`."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        PortBusy: the port is taken, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        advice = "end what listens there or choose another port"
        raise PortBusy(f"the engine cannot listen on {host}:{port}: {reason}; {advice}") from error
    listener.setblocking(False)
    return listener
