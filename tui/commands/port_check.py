"""Is a port free, and who has it if not: asked before anything starts on it.

The standard library's HTTP client is enough here, and the screen is not held up by a bigger one.
"""

from __future__ import annotations

import errno
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from engine.process.listening import CannotListen, bind
from proxy.configuration.settled import HostConfig
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import local_url

ASK_S = 2.0  # how long a host of ours may take to say that it is one


def check_ports(config: HostConfig) -> None:
    """Pass if a host with this configuration can listen.

    Raises:
        CommandFailed: a port is busy or not ours to use.
    """
    check_port(config.host, config.port, option="--port")
    if config.backend == "mlx" and config.manage_engine:
        check_port("127.0.0.1", config.engine_port, option="--engine-port")


def check_port(host: str, port: int, *, option: str) -> None:
    """Pass if `port` can be listened on; `option` is the one that chooses another. 0 always passes.

    Raises:
        CommandFailed: something listens there, or the address or port is not ours to use.
    """
    try:
        bind(host, port).close()
    except CannotListen as error:
        raise _refusal(host, port, option, error) from None


def _refusal(host: str, port: int, option: str, error: CannotListen) -> CommandFailed:
    if error.busy:
        url = local_url(host, port)
        if is_host(url):
            return CommandFailed(
                ExitCode.PORT_BUSY,
                f"port {port} is in use by a host of anyclaude-tui{_by_whom(port)}; "
                f"watch that one with --attach {url}, or choose another port with {option}",
            )
        return CommandFailed(
            ExitCode.PORT_BUSY,
            f"port {port} is in use{_by_whom(port)}; end it, or choose another port with {option}",
        )
    if error.number == errno.EACCES:
        return CommandFailed(
            ExitCode.USAGE, f"port {port} is for the system alone; choose one above 1023 with {option}"
        )
    return CommandFailed(ExitCode.USAGE, str(error))


def is_host(url: str) -> bool:
    """Does a host of ours answer there, be it to ask for its token?"""
    import http.client  # 7 ms, which a free port has no need of

    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=ASK_S)
    try:
        connection.connect()
        with _ended_within(connection.sock, ASK_S):
            connection.request("GET", "/anyclaude/state")
            answer = connection.getresponse()
            said = json.loads(answer.read(1 << 20))
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return isinstance(said, dict) and ("engine" in said if answer.status == 200 else answer.status == 401)


@contextmanager
def _ended_within(connected: socket.socket, seconds: float) -> Iterator[None]:
    """A block in which a connection lasts no longer: a timeout begins anew with each byte that drips in."""
    own = connected.dup()  # the other is closed with the answer, and its number may be another file's then
    ending = threading.Timer(seconds, _shut, args=(own,))
    ending.daemon = True
    ending.start()
    try:
        yield
    finally:
        ending.cancel()
        ending.join()
        own.close()


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):  # the other side has left
        connected.shutdown(socket.SHUT_RDWR)


def _by_whom(port: int) -> str:
    from engine.process.port_holder import port_holder  # psutil, which a free port has no need of

    who = port_holder(port)
    return f" by {who}" if who else ""
