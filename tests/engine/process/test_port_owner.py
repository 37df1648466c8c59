from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from engine.process.port_owner import is_another_users

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
ROW = "{n}: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {user:>5} 0 305"
LOOPBACK, LOOPBACK_6 = "0100007F", "00000000000000000000000001000000"


def table(path: Path, *rows: tuple[str, int, str, int]) -> Path:
    lines = [
        ROW.format(n=n, address=address, port=port, state=state, user=user)
        for n, (address, port, state, user) in enumerate(rows)
    ]
    path.write_text("\n".join([HEAD, *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    ("row", "foreign"),
    [
        ((LOOPBACK, 8082, "0A", 1000), False),
        ((LOOPBACK, 8082, "0A", 0), False),  # root: what passes on a container's port, for one
        ((LOOPBACK, 8082, "0A", 1001), True),
        ((LOOPBACK, 8082, "01", 1001), False),  # a connection, not a listener
        ((LOOPBACK, 8083, "0A", 1001), False),
        (("00000000", 8082, "0A", 1001), True),
    ],
)
def test_a_listener_of_somebody_else_is_seen(
    tmp_path: Path, row: tuple[str, int, str, int], foreign: bool
) -> None:
    assert is_another_users(8082, tables=[table(tmp_path / "tcp", row)], user=1000) is foreign


def test_one_beside_the_own_on_another_address_is_seen_too(tmp_path: Path) -> None:
    tables = [
        table(tmp_path / "tcp", ("00000000", 8082, "0A", 1000)),
        table(tmp_path / "tcp6", (LOOPBACK_6, 8082, "0A", 1001)),
    ]
    assert is_another_users(8082, tables=tables, user=1000)


@pytest.mark.parametrize("tables", [None, []], ids=["as this system has them", "where there are none"])
def test_an_own_listener_and_a_free_port_are_nobody_elses(tables: list[Path] | None) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        given = {} if tables is None else {"tables": tables}
        assert not is_another_users(port, user=os.geteuid(), **given)
    assert not is_another_users(port, user=os.geteuid(), **given)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_without_tables_a_listener_that_no_own_process_holds_is_somebody_elses(
    monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily
) -> None:
    monkeypatch.setattr("engine.process.port_owner.held_by_own_process", lambda port: False)
    with socket.socket(family) as listener:
        try:
            listener.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
        listener.listen()
        assert is_another_users(listener.getsockname()[1], tables=[])
