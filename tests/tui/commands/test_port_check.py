from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.tui.scripted_host import scripted_host
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.port_check import check_port, is_host


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """These listeners never answer."""
    monkeypatch.setattr("tui.commands.port_check.ASK_S", 0.2)


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def busy_drips() -> Iterator[int]:
    """A program that sends a byte now and then, as long as anybody reads."""
    ended = threading.Event()

    def drip(client: socket.socket) -> None:
        with client, suppress(OSError):
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while not ended.wait(0.05):
                client.sendall(b" ")

    def accept() -> None:
        while not ended.is_set():
            client, _ = listener.accept()
            threads.append(threading.Thread(target=drip, args=(client,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            socket.create_connection(listener.getsockname()).close()
            for thread in threads:
                thread.join()


def test_a_free_port_passes() -> None:
    check_port("127.0.0.1", 0, option="--port")


def test_a_busy_one_names_its_holder_and_the_option(busy: int) -> None:
    with pytest.raises(CommandFailed) as caught:
        check_port("127.0.0.1", busy, option="--engine-port")
    assert caught.value.exit_code == ExitCode.PORT_BUSY
    said = caught.value.message
    assert f"port {busy} is in use by " in said
    assert f"(pid {os.getpid()})" in said
    assert said.endswith("choose another port with --engine-port")
    assert "\n" not in said


def test_a_port_that_accepts_is_busy_although_bind_succeeds(
    busy: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS beside a program that listens on all addresses."""
    monkeypatch.setattr(socket.socket, "bind", lambda self, address: None)
    with pytest.raises(CommandFailed, match=f"port {busy} is in use by ") as caught:
        check_port("127.0.0.1", busy, option="--port")
    assert caught.value.exit_code == ExitCode.PORT_BUSY


def test_an_address_of_another_machine_is_a_usage_error() -> None:
    with pytest.raises(CommandFailed, match=r"cannot listen on 192\.0\.2\.1 port") as caught:
        check_port("192.0.2.1", 0, option="--port")
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_host_of_ours_is_offered_to_be_watched() -> None:
    with scripted_host() as host:
        port = int(host.url.rsplit(":", 1)[1])
        with pytest.raises(CommandFailed, match=f"--attach {host.url}"):
            check_port("127.0.0.1", port, option="--port")


def test_a_port_that_does_not_speak_http_is_no_host(busy: int) -> None:
    assert not is_host(f"http://127.0.0.1:{busy}")


def test_an_answer_that_drips_and_never_ends_is_not_waited_for(busy_drips: int) -> None:
    assert not is_host(f"http://127.0.0.1:{busy_drips}")
    with pytest.raises(CommandFailed, match=f"port {busy_drips} is in use by "):
        check_port("127.0.0.1", busy_drips, option="--port")
