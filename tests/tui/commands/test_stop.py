from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from proxy.host_record import HostRecord, recorded, recorded_hosts
from tests.tui.scripted_host import scripted_host
from tui.commands.exit_codes import CommandFailed
from tui.commands.invocation import Invocation
from tui.commands.running_host import find_host
from tui.commands.stop import run_stop


@pytest.fixture
def invocation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invocation:
    """In an empty home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return Invocation({"port": None}, "", {"HOME": str(tmp_path), "ANYCLAUDE_PORT": "0"})


def write_record(home: Path, record: HostRecord) -> Path:
    path = home / ".anyclaude" / "run" / f"host-{record.pid}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"pid": record.pid, "created": record.created, "url": record.url}))
    return path


def own_record(url: str) -> HostRecord:
    return HostRecord(os.getpid(), psutil.Process().create_time(), url)


def test_a_host_is_on_record_while_it_runs_and_clears_up_after_dead_ones(tmp_path: Path) -> None:
    home = tmp_path / ".anyclaude"
    left = write_record(tmp_path, HostRecord(os.getpid() + 1, 1.0, "http://127.0.0.1:1"))
    broken = left.with_name("host-7.json")
    broken.write_text("{")
    with recorded(home, "http://127.0.0.1:2"):
        assert recorded_hosts(home) == [own_record("http://127.0.0.1:2")]
        assert not left.exists()
        assert not broken.exists()
    assert recorded_hosts(home) == []
    assert list((home / "run").iterdir()) == []


@pytest.mark.parametrize(
    ("pid", "url"),
    [
        ("-1", "http://127.0.0.1:1"),
        ("1e999", "http://127.0.0.1:1"),
        ("own", "http://127.0.0.1:70000"),
    ],
)
def test_a_damaged_record_keeps_no_host_from_starting(tmp_path: Path, pid: str, url: str) -> None:
    own = own_record(url)
    path = write_record(tmp_path, own)
    path.rename(path := path.with_name("host-0.json"))
    number = str(own.pid) if pid == "own" else pid
    path.write_text(f'{{"pid": {number}, "created": {own.created}, "url": "{url}"}}')
    assert recorded_hosts(tmp_path / ".anyclaude") == []
    with recorded(tmp_path / ".anyclaude", "http://127.0.0.1:2"):
        assert not path.exists()


def test_a_later_process_with_the_same_id_is_not_the_host(tmp_path: Path) -> None:
    own = own_record("http://127.0.0.1:1")
    write_record(tmp_path, HostRecord(own.pid, own.created - 60, own.url))
    assert recorded_hosts(tmp_path / ".anyclaude") == []


def test_the_only_host_with_this_state_folder_is_found_and_one_of_several_must_be_named(
    tmp_path: Path, invocation: Invocation
) -> None:
    write_record(tmp_path, own_record("http://127.0.0.1:7001"))
    assert find_host(invocation).url == "http://127.0.0.1:7001"
    parent = psutil.Process(os.getppid())
    write_record(tmp_path, HostRecord(parent.pid, parent.create_time(), "http://127.0.0.1:7002"))
    with pytest.raises(CommandFailed, match=r"2 others do.*7001.*7002|2 others do.*7002.*7001"):
        find_host(invocation)
    assert find_host(invocation.over(port=7002)).url == "http://127.0.0.1:7002"


def test_another_program_with_a_record_is_never_ended(tmp_path: Path, invocation: Invocation) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        created = psutil.Process(other.pid).create_time()
        write_record(tmp_path, HostRecord(other.pid, created, "http://127.0.0.1:1"))
        with pytest.raises(CommandFailed, match=f"pid {other.pid} is no host of yours"):
            run_stop(invocation, now=True)
        assert other.poll() is None
        other.kill()


HANGS = """
import signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


def test_a_host_that_does_not_answer_is_ended_by_stop_now_alone(
    tmp_path: Path,
    invocation: Invocation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tui.client.host_client.TIMEOUT_S", 0.1)
    monkeypatch.setattr("tui.commands.stop.END_S", 0.1)
    as_a_host = [sys.executable, "-c", HANGS, "-m", "proxy"]
    with subprocess.Popen(as_a_host, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        url = f"http://127.0.0.1:{host.stdout.readline().strip()}"
        write_record(tmp_path, HostRecord(host.pid, psutil.Process(host.pid).create_time(), url))
        with pytest.raises(CommandFailed, match="does not answer; to end it: anyclaude-tui stop --now"):
            run_stop(invocation)
        assert host.poll() is None
        assert run_stop(invocation, now=True) == 0
        assert host.wait(10) == -signal.SIGKILL
    assert f"ending pid {host.pid} with SIGTERM" in capsys.readouterr().err


def test_a_program_on_the_port_that_is_no_host_is_named_and_left_alone(invocation: Invocation) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        other.close()
        with pytest.raises(CommandFailed, match=f"no host runs on http://127.0.0.1:{port}"):
            run_stop(invocation.over(port=port), now=True)


def test_a_host_of_an_earlier_version_is_named_with_what_ends_it(invocation: Invocation) -> None:
    with scripted_host() as host, pytest.raises(CommandFailed, match=f"end it with: kill {host.pid}"):
        run_stop(Invocation(invocation.options, host.url, invocation.environ))
