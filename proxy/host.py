"""Runs one host: the socket, the web server on it, and the order in which all of it begins and ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.process.exit_codes import ExitCode
from engine.process.listening import CannotListen, bind
from proxy.assembly import Host
from proxy.configuration.settled import HostConfig
from proxy.host_record import recorded
from proxy.web_server import WebServer, explained, url_of


def _print_error(message: str) -> None:
    print(message, file=sys.stderr)  # noqa: T201 - the one line that a user reads


async def serve(
    config: HostConfig,
    *,
    ready: Callable[[str], None],
    stop: asyncio.Event | None = None,
    failed: Callable[[str], None] = _print_error,
    report: Callable[[list[str]], None] = lambda _: None,
    engine_arguments: tuple[str, ...] | None = None,
) -> int:
    """Serve until `stop` is set, or, without it, until SIGINT or SIGTERM.

    Args:
        ready: called with the address as soon as requests are taken; the engine may still be loading.
        failed: called with one line where it cannot begin.
        report: called at the end of a run that had requests, with a few lines about them.
        engine_arguments: the program to start as engine, in place of `python -m engine`.

    Returns:
        An exit code: 0, 2 for a configuration that cannot be served, 3 for a port that is taken, 130 after
        SIGINT.
    """
    try:
        listener = await asyncio.to_thread(bind, config.host, config.port)
    except CannotListen as error:
        failed(await asyncio.to_thread(explained, error))
        return ExitCode.PORT_BUSY if error.busy else ExitCode.USAGE
    url = url_of(listener)
    with listener:
        try:
            host = Host(config, url, engine_arguments=engine_arguments)
        except ValueError as error:
            failed(str(error))
            return ExitCode.USAGE
        server = WebServer(host.app, lambda: ready(url))
        interrupted: list[int] = []
        if stop is not None:
            with recorded(config.home, url):
                await _run(host, server, listener, stop)
        else:
            stop = asyncio.Event()
            with _signals(stop, server) as interrupted, recorded(config.home, url):
                await _run(host, server, listener, stop)
        if lines := host.run.report():
            report(lines)
        return ExitCode.INTERRUPTED if interrupted else ExitCode.FINE


async def _run(host: Host, server: WebServer, listener: socket.socket, stop: asyncio.Event) -> None:
    async def pass_on() -> None:
        await host.ended.wait()
        stop.set()

    async def begin_the_end() -> None:
        await stop.wait()
        host.end(now=True)  # a signal ended it: nothing changes meanwhile
        host.end_streams()
        # Now, not after the open answers: they end sooner when the engine says that it goes.
        await host.stop_engine()

    host.start()
    asked = asyncio.create_task(pass_on())
    ending = asyncio.create_task(begin_the_end())
    try:
        await server.until(stop, listener)
    finally:
        stop.set()
        asked.cancel()
        await ending
        await host.close()


@contextmanager
def _signals(stop: asyncio.Event, server: WebServer) -> Iterator[list[int]]:
    """Signals set `stop`; a second one does not wait for open answers. Yields the SIGINTs that came."""
    loop = asyncio.get_running_loop()
    interrupts: list[int] = []

    def end(number: int) -> None:
        if number == signal.SIGINT:
            interrupts.append(number)
        server.force_exit = stop.is_set()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    try:
        yield interrupts
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
