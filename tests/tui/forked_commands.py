"""Commands as processes that need not import what all commands do: they fork from one that has.

For tests that look at what a command prints and how it ends. How a fresh interpreter comes to that point is
looked at by `tests/documents`, `tests/test_imports.py` and tests that call `tests.tui.test_cli.run_anew`.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

COMMAND_S = 60.0
SHARED = (
    *(
        "tui.cli",
        "typer._adapters",
        "tui.commands.env",
        "tui.commands.config_show",
        "tui.commands.config_trust",
    ),
    *("tui.commands.traces.listing", "tui.commands.traces.showing"),
)
_MOST_BYTES = 1 << 17  # of a command's arguments and variables


class Commands:
    """The process that commands fork from, for as long as this one lives; they run one after the other."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(COMMAND_S)
        self._one = Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def run(
        self, command: Path, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """What `subprocess.run` would return for `command` with `arguments`, in `folder`."""
        argv = [str(command), *arguments]
        wish = json.dumps([argv, str(folder), dict(environment)]).encode()
        with self._one, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            socket.send_fds(self._socket, [wish], [stdout.fileno(), stderr.fileno()])
            pid = int(self._socket.recv(100))
            try:
                code = int(self._socket.recv(100))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self._socket.recv(100)
                raise subprocess.TimeoutExpired(argv, COMMAND_S) from None
            printed = [_text(file) for file in (stdout, stderr)]
        return subprocess.CompletedProcess(argv, code, *printed)

    def close(self) -> None:
        """End the process: its socket has no other end any more."""
        self._socket.close()
        self._process.wait()


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode()).replace("\r\n", "\n")


@cache
def commands() -> Commands:
    """Those of this process, begun when the first is asked for."""
    begun = Commands()
    atexit.register(begun.close)
    return begun


def _serve(connection: socket.socket) -> list[Any]:
    """Fork for each wish; returns in the forked process, with the wish, its output where it is to be."""
    while True:
        wish, files, _, _ = socket.recv_fds(connection, _MOST_BYTES, 2)
        if not wish:
            raise SystemExit
        pid = os.fork()
        if pid == 0:
            connection.close()
            for file, stream in zip(files, (1, 2), strict=True):
                os.dup2(file, stream)
                os.close(file)
            return list(json.loads(wish))
        for file in files:
            os.close(file)
        connection.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this module
    program = import_module("tui.program")
    import_module("proxy.lean_libraries").leave_out_httpx_command()
    for name in SHARED:
        import_module(name)
    gc.freeze()  # else the collector looks at all of it in each command, and makes copies of it
    sys.argv[:], where, variables = _serve(socket.socket(fileno=int(sys.argv[1])))
    os.chdir(where)
    os.environ.clear()
    os.environ.update(variables)
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    sys.exit(program.main())
