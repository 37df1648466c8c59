from __future__ import annotations

import socket

import pytest

from engine.process.listening import CannotListen, bind
from proxy.web_server import explained, url_of


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
