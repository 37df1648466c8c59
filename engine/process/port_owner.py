"""Says whether a port of this machine is another user's: what is sent there, that user reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.process.listening import is_listened_to
from engine.process.port_holder import held_by_own_process

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))  # as Linux has them
_LISTENS = "0A"
_ROOT = 0  # reads everything anyway; a container's port is often passed on by it


def is_another_users(port: int, *, tables: Sequence[Path] = TABLES, user: int | None = None) -> bool:
    """Does a program of another user, who is not root, listen on `port`?

    `user` is whose port it should be, by default that of this process.
    """
    own = {os.geteuid() if user is None else user, _ROOT}
    found = [path for path in tables if path.exists()]
    if found:
        return any(owner not in own for path in found for owner in _owners(path, port))
    # macOS shows the processes of other users to root alone.
    listened_to = any(is_listened_to(address, port) for address in ("127.0.0.1", "::1"))
    return listened_to and not held_by_own_process(port)


def _owners(table: Path, port: int) -> Iterator[int]:
    """Who listens on the port; its columns: 1 the local address, 3 the state, 7 the user."""
    try:
        lines = table.read_text("ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        columns = line.split()
        if len(columns) > 7 and columns[3] == _LISTENS and columns[1].endswith(f":{port:04X}"):
            yield int(columns[7])
