from __future__ import annotations

import socket

import pytest

from proxy.web_server import CannotListen, bind, url_of


def test_a_port_that_accepts_is_busy_although_bind_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS beside a program that listens on all addresses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(socket.socket, "bind", lambda self, address: None)
        with pytest.raises(CannotListen, match=rf"port {port} is in use by .*; end it there") as caught:
            bind("127.0.0.1", port)
    assert caught.value.busy


def test_any_free_port_is_told_by_the_url() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
