"""The proxy's socket, and uvicorn on it as a guest: no signals, no logging of its own, and a swift end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from engine.process.listening import is_listened_to
from engine.process.port_holder import port_holder

_GRACE_S = 3  # for open answers, once the end is near


class CannotListen(Exception):
    """Raised by `bind`: the port is taken (`busy`), or the address is not ours to listen on."""

    def __init__(self, message: str, *, busy: bool) -> None:
        super().__init__(message)
        self.busy = busy


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises:
        CannotListen: the message says why, and who holds the port where that is known.
    """
    if port and is_listened_to(host, port):
        raise _explained(OSError(errno.EADDRINUSE, ""), host, port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port) from None
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """The address of a listening socket as a URL that this machine can use."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class WebServer(uvicorn.Server):
    """Serves an application on a bound socket until it is told to end."""

    def __init__(self, app: ASGIApp, on_started: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,  # who a client says it is decides nothing here
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()

    async def until(self, stop: asyncio.Event, listener: socket.socket) -> None:
        """Serve until `stop` is set and open answers have ended, or had their time."""
        serving = asyncio.create_task(self.serve(sockets=[listener]))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        self.should_exit = True
        stopping.cancel()
        await serving
        # Answers whose time was up are cancelled, not waited for: let them tell their client and the record.
        if unfinished := set(self.server_state.tasks):
            await asyncio.wait(unfinished, timeout=_GRACE_S)


def _explained(error: OSError, host: str, port: int) -> CannotListen:
    if error.errno != errno.EADDRINUSE:
        why = os.strerror(error.errno) if error.errno else str(error)
        return CannotListen(f"cannot listen on {host} port {port}: {why}", busy=False)
    holder = port_holder(port)
    by = f" by {holder}" if holder else ""
    return CannotListen(f"port {port} is in use{by}; end it there or choose another port", busy=True)
