"""Says which program holds a port, where the system lets us know."""

from __future__ import annotations

from typing import Any

import psutil


def port_holder(port: int) -> str:
    """For example `python3 (pid 4711)`; empty where nobody holds it or the system does not say."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return _among_own(port)  # macOS shows all processes to root alone
    for connection in connections:
        if _listens(connection, port):
            return _name(connection.pid)
    return ""


def _among_own(port: int) -> str:
    """The holder, if it is a process of this user."""
    for process in psutil.process_iter():
        try:
            if any(_listens(connection, port) for connection in process.net_connections("tcp")):
                return _name(process.pid)
        except (psutil.Error, OSError):
            continue
    return ""


def held_by_own_process(port: int) -> bool:
    """Does a process of this user, or one that the system lets us look into, listen on the port?"""
    return bool(_among_own(port))


def _listens(connection: Any, port: int) -> bool:
    return bool(
        connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
    )


def _name(pid: int | None) -> str:
    if pid is None:
        return "a program of another user"
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"pid {pid}"
