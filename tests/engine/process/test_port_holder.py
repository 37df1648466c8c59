from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import psutil
import pytest

from engine.process.port_holder import port_holder


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_holder_is_named_with_its_process(busy: int) -> None:
    assert port_holder(busy).endswith(f"(pid {os.getpid()})")


def test_a_free_port_has_none() -> None:
    assert port_holder(1) == ""


def test_where_the_system_tells_only_about_own_processes_those_are_asked(
    busy: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(kind: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", refuse)
    assert port_holder(busy).endswith(f"(pid {os.getpid()})")
