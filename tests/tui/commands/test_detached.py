"""`--detach`, `status` and `stop` as a user has them: real commands, a real host without an engine."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from bench.child import clean_environment
from proxy.configuration.settled import HostConfig
from proxy.host_record import HostRecord, recorded_hosts
from tests.e2e.terminal_session import terminal_session
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


def is_gone(process: psutil.Process) -> bool:
    """Also before whoever adopted it has seen its end."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_detached_host_outlives_its_terminal_and_is_found_and_ended(
    tmp_path: Path, host: HostRecord
) -> None:
    assert httpx.get(f"{host.url}/health/live", trust_env=False).status_code == 200

    shown = run(tmp_path, "status")
    assert (shown.returncode, f"host      {host.url}, pid {host.pid}" in shown.stdout) == (0, True)
    told = json.loads(run(tmp_path, "status", "--json").stdout)
    assert (told["running"], told["url"], told["model"], told["engine"]) == (True, host.url, "m", None)
    assert (told["requests_running"], told["traces"], told["hit_rate"]) == (0, 0, None)

    process = psutil.Process(host.pid)
    ended = run(tmp_path, "stop")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert f"(pid {host.pid}) has ended" in ended.stderr
    assert is_gone(process)
    assert list((tmp_path / ".anyclaude" / "run").iterdir()) == []

    for command in ("status", "stop"):
        again = run(tmp_path, command)
        assert (again.returncode, again.stdout) == (1, "")
        assert "no host runs on http://127.0.0.1:8082" in again.stderr
    gone = run(tmp_path, "status", "--json")
    assert (gone.returncode, json.loads(gone.stdout)["running"]) == (1, False)


def test_a_host_that_does_not_answer_is_ended_by_stop_now_alone(
    tmp_path: Path, host: HostRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tui.client.host_client
    import tui.commands.stop
    from tui.commands.exit_codes import CommandFailed
    from tui.commands.invocation import Invocation

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tui.client.host_client, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(tui.commands.stop, "END_S", 0.2)
    process = psutil.Process(host.pid)
    process.send_signal(signal.SIGSTOP)
    invocation = Invocation({}, host.url, {"HOME": str(tmp_path)})
    with pytest.raises(CommandFailed, match="does not answer; to end it: anyclaude-tui stop --now"):
        tui.commands.stop.run_stop(invocation)
    assert process.is_running()
    assert tui.commands.stop.run_stop(invocation, now=True) == 0  # SIGTERM does not reach it
    assert is_gone(process)


def test_a_port_that_is_taken_is_told_by_the_code(tmp_path: Path, host: HostRecord) -> None:
    port = host.url.rpartition(":")[2]
    ended = run(tmp_path, *ELSEWHERE[:-1], port, "--detach")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert f"port {port} is in use" in ended.stderr


@pytest.mark.parametrize(
    ("program", "message", "code"),
    [
        ('print(\'{"error": "no room", "exit_code": 3}\')', "no room", 3),
        ("import sys; sys.exit('the disk is gone')", "it last said: the disk is gone", 4),
        ("import os; os.kill(os.getpid(), 9)", "signal 9", 4),
        ("input(); input()", "did not listen within", 4),
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
            start_s=0.2 if "input" in program else 60,
        )
    assert failed.value.exit_code == code
