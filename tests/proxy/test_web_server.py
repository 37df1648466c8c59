from __future__ import annotations

import asyncio
import logging
import socket

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from engine.process.listening import CannotListen, bind
from proxy.web_server import WebServer, explained, url_of


def test_a_busy_port_is_explained_by_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(CannotListen) as caught:
            bind("127.0.0.1", port)
        said = explained(caught.value)
    assert f"port {port} is in use by " in said
    assert said.endswith("end it there or choose another port")


def test_an_address_of_another_machine_is_explained_by_the_system() -> None:
    with pytest.raises(CannotListen) as caught:
        bind("192.0.2.1", 0)
    assert explained(caught.value).startswith("cannot listen on 192.0.2.1 port 0: ")


def test_any_free_port_is_told_by_the_url() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_the_end_cancels_an_answer_that_takes_too_long_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stop = asyncio.Event()
    cancelled: list[Scope] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        stop.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(scope)
            raise

    server = WebServer(answer, lambda: None)
    server.config.timeout_graceful_shutdown = 0
    caplog.set_level(logging.DEBUG)
    with bind("127.0.0.1", 0) as listener:
        async with httpx.AsyncClient() as client:
            asking = asyncio.create_task(client.get(url_of(listener)))
            await server.until(stop, listener)
            await asyncio.wait((asking,))
            assert asking.exception() or asking.result().is_error
    assert len(cancelled) == 1
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
