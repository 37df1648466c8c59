"""Says which program holds a port, where the system lets us know."""

from __future__ import annotations

import psutil


def port_holder(port: int) -> str:
    """For example `python3 (pid 4711)`; empty where nobody holds it or the system does not tell."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):  # macOS tells it to root alone
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            return _name(connection.pid)
    return ""


def _name(pid: int | None) -> str:
    if pid is None:
        return "a program of another user"
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"pid {pid}"
