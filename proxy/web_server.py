"""Uvicorn on the proxy's socket: it handles no signals, configures no logging, and ends quickly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from engine.process.listening import CannotListen
from engine.process.port_holder import port_holder

_GRACE_S = 3  # for open answers, once the end is near


class _WithoutCancelled(logging.Filter):
    """Drops the tracebacks of requests that the server's end cancels: client and record have their error."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


_WITHOUT_CANCELLED = _WithoutCancelled()


def explained(error: CannotListen) -> str:
    """What to do about a port that cannot be listened on, and who holds it where that is known."""
    if not error.busy:
        return str(error)
    holder = port_holder(error.port)
    by = f" by {holder}" if holder else ""
    return f"port {error.port} is in use{by}; end it there or choose another port"


def url_of(listener: socket.socket) -> str:
    """The address of a listening socket as a URL that this machine can use."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class WebServer(uvicorn.Server):
    """Serves an application on a bound socket until it shall end."""

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
        logging.getLogger("uvicorn.error").addFilter(_WITHOUT_CANCELLED)

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
        # Answers whose time was up are cancelled, not waited for: let them end their stream and their record.
        if unfinished := set(self.server_state.tasks):
            await asyncio.wait(unfinished, timeout=_GRACE_S)
