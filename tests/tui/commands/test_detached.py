"""`--detach`, `status` and `stop` as a user has them: real commands, a real host without an engine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from bench.child import clean_environment
from bench.terminal_session import terminal_session
from proxy.configuration.settled import HostConfig
from proxy.host_record import HostRecord, recorded_hosts
from tests.tui.test_cli import COMMAND, run
from tui.client.host_process import HostFailed
from tui.commands.detached import start_detached

pytestmark = pytest.mark.slow

ELSEWHERE = ("--backend", "openai", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--port", "0")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostRecord]:
    """A host that was started from a terminal which is closed now."""
    command = [str(COMMAND), *ELSEWHERE, "--detach"]
    environ = clean_environment(HOME=str(tmp_path), TERM="xterm")
    with terminal_session(command, cwd=tmp_path, environ=environ) as terminal:
        terminal.wait_for(r"address +http://127.0.0.1:\d+")
        assert terminal.wait_until_ended() == 0
        shown = terminal.text
    (record,) = recorded_hosts(tmp_path / ".anyclaude")
    assert f"{record.pid}\n" in shown
    assert str(tmp_path / ".anyclaude" / "logs" / "host.log") in shown.replace("\n", "")
    try:
        yield record
    finally:
        if psutil.pid_exists(record.pid):
            psutil.Process(record.pid).kill()


def test_a_detached_host_outlives_its_terminal_and_is_found_and_ended(
    tmp_path: Path, host: HostRecord
) -> None:
    assert httpx.get(f"{host.url}/health/live", trust_env=False).status_code == 200

    shown = run(tmp_path, "status")
    assert (shown.returncode, f"host      {host.url}, pid {host.pid}" in shown.stdout) == (0, True)
    told = json.loads(run(tmp_path, "status", "--json").stdout)
    assert (told["running"], told["url"], told["model"], told["engine"]) == (True, host.url, "m", None)
    assert (told["requests_running"], told["traces"], told["hit_rate"]) == (0, 0, None)

    port = host.url.rpartition(":")[2]
    taken = run(tmp_path, *ELSEWHERE[:-1], port, "--detach")
    assert (taken.returncode, taken.stdout) == (3, "")
    assert f"port {port} is in use by a host of anyclaude-tui" in taken.stderr

    process = psutil.Process(host.pid)
    ended = run(tmp_path, "stop")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert f"(pid {host.pid}) has ended" in ended.stderr
    # Whoever adopted it may not have seen its end yet.
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert list((tmp_path / ".anyclaude" / "run").iterdir()) == []

    for command in ("status", "stop"):
        again = run(tmp_path, command)
        assert (again.returncode, again.stdout) == (1, "")
        assert "no host runs on http://127.0.0.1:8082" in again.stderr
    gone = run(tmp_path, "status", "--json")
    assert (gone.returncode, json.loads(gone.stdout)["running"]) == (1, False)


@pytest.mark.parametrize(
    ("program", "message", "code"),
    [
        ('print(\'{"error": "no room", "exit_code": 3}\')', "no room", 3),
        ("import sys; sys.exit('the disk is gone')", "it last said: the disk is gone", 4),
        ("import os; os.kill(os.getpid(), 9)", "signal 9", 4),
        ("import signal; signal.pause()", "did not listen within", 4),
    ],
)
def test_a_host_that_does_not_listen_is_an_error_and_leaves_nothing(
    tmp_path: Path, program: str, message: str, code: int
) -> None:
    command = (sys.executable, "-c", program)
    with pytest.raises(HostFailed, match=message) as failed:
        start_detached(
            HostConfig(home=tmp_path),
            tmp_path / "logs" / "host.log",
            command=command,
            start_s=0.2 if "pause" in program else 60,
        )
    assert failed.value.exit_code == code
