"""`anyclaude-tui --detach`: a host in the background, which outlives this command and its terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.configuration.settled import HostConfig
from tui.client.host_process import (
    START_S,
    HostFailed,
    announced_failure,
    announcement,
    early_end,
    log_hint,
    opened_log,
)
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data
from tui.commands.port_check import check_ports

_COMMAND = (sys.executable, "-P", "-m", "proxy", "--detached")


@dataclass(frozen=True, slots=True)
class Detached:
    """A host that listens."""

    url: str
    pid: int


def run_detached(invocation: Invocation) -> int:
    """Start a host in the background; returns when it listens.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed, tui.client.host_process.HostFailed: a port is busy, or the host does not start; nothing
        is left running.
    """
    settled = invocation.settle()
    check_ports(settled.config)
    for line in settled.account:
        say(line)
    log_path = settled.config.home / "logs" / "host.log"
    say(f"starting a host in the background; its log is {log_path}")
    host = start_detached(settled.config, log_path)
    write_data(f"address   {host.url}\npid       {host.pid}\nlog       {log_path}\n")
    say("its model may still be loading: anyclaude-tui status shows it, anyclaude-tui stop ends the host")
    return ExitCode.FINE


def start_detached(
    config: HostConfig, log_path: Path, *, command: Sequence[str] = _COMMAND, start_s: float = START_S
) -> Detached:
    """Start a host that has neither this process nor its terminal above it, and wait until it listens.

    Raises:
        CommandFailed, HostFailed: it does not start.
    """
    try:
        with opened_log(log_path) as log:
            log_start = log.seek(0, os.SEEK_END)
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=log_path.parent,  # nothing that lies in the working directory is meant for the host
                start_new_session=True,
            )
    except OSError as error:
        raise CommandFailed(ExitCode.USAGE, f"the host could not be started: {error}") from None
    listens = False
    assert process.stdin is not None
    assert process.stdout is not None
    out_of_time = threading.Timer(start_s, process.kill)
    out_of_time.daemon = True
    out_of_time.start()
    try:
        with process.stdout:
            try:
                with process.stdin:
                    process.stdin.write(config.as_json() + b"\n")
            except BrokenPipeError:
                pass  # it has ended; its exit says more
            for line in process.stdout:
                said = announcement(line)
                if "error" in said:
                    raise announced_failure(said)
                if "listening" in said:
                    listens = True
                    return Detached(str(said["listening"]), process.pid)
        code = process.wait()
        if out_of_time.finished.is_set():
            raise HostFailed(
                ExitCode.ENGINE_FAILED,
                f"the host did not listen within {start_s:.0f} s{log_hint(log_path, log_start)}",
            )
        raise early_end(code, log_path, log_start)
    finally:
        out_of_time.cancel()
        if not listens:
            process.kill()
            process.wait()
