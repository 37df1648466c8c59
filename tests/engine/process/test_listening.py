"""A busy port is seen, also where the system lets one bind it, as macOS does beside a listener on `*`."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from engine.process.listening import CannotListen, bind, is_listened_to


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def bind_always_succeeds(busy: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, where SO_REUSEADDR lets one address have a port of `*`; the listener came before."""
    monkeypatch.setattr(socket.socket, "bind", lambda self, address: None)


@pytest.mark.usefixtures("bind_always_succeeds")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "", "::"])
def test_a_port_that_accepts_is_busy_although_bind_succeeds(busy: int, host: str) -> None:
    said = rf"cannot listen on {host} port {busy}: Address already in use"
    with pytest.raises(CannotListen, match=said) as caught:
        bind(host, busy)
    assert caught.value.busy


def test_a_port_that_another_server_left_is_free(busy: int) -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert port
        socket.create_connection(("127.0.0.1", port)).close()
        with socket.create_connection(("127.0.0.1", port)):
            assert is_listened_to("127.0.0.1", port)
    assert not is_listened_to("127.0.0.1", port)
    bind("127.0.0.1", port).close()


def test_nobody_listens_on_a_port_that_is_bound_and_no_more() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert not is_listened_to("127.0.0.1", bound.getsockname()[1])


def test_a_socket_that_would_meet_itself_is_no_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
    real = socket.socket.bind
    monkeypatch.setattr(socket.socket, "bind", lambda self, address: real(self, ("127.0.0.1", port)))
    assert not is_listened_to("127.0.0.1", port)


def test_an_address_of_another_machine_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise AssertionError(f"connected to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert not is_listened_to("192.0.2.1", 80)
    with pytest.raises(CannotListen, match=r"cannot listen on 192\.0\.2\.1 port 80") as caught:
        bind("192.0.2.1", 80)
    assert not caught.value.busy


@pytest.mark.parametrize("port", [0, 8999])
def test_a_name_that_cannot_be_one_is_an_error_in_words(port: int) -> None:
    with pytest.raises(
        CannotListen, match=rf"cannot listen on é\.\.b port {port}: this is no name of a host"
    ):
        bind("é..b", port)


def test_a_name_that_is_not_found_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(self: socket.socket, address: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket.socket, "bind", not_found)
    with pytest.raises(CannotListen, match="elsewhere port 0: Name or service not known") as caught:
        bind("elsewhere", 0)
    assert not caught.value.busy


def test_an_ipv6_listener_is_seen() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with listener:
        port = listener.getsockname()[1]
        assert is_listened_to("::1", port)
        assert is_listened_to("::", port)
