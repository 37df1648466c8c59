"""`python -m engine` from its first line to its exit code."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.child import clean_environment, poll, python, wait_ready
from tests.engine.faulty_device import REFUSED
from tests.models import ModelShelf
from tests.servers import engine, server

pytestmark = pytest.mark.slow


def run(*arguments: str, said: str = "", timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
    """The engine from start to end, with `said` on its stdin."""
    return subprocess.run(
        python("-m", "engine", *arguments),
        input=said,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=clean_environment(),
        check=False,
    )


def test_a_busy_port_is_told_in_one_line_and_exit_code_3() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = run(said=json.dumps({"model": "/nowhere", "port": port}))
    assert ended.returncode == 3
    told = json.loads(ended.stdout)
    assert told["exit_code"] == 3
    assert f"127.0.0.1:{port}" in told["error"]
    assert ended.stderr.strip() == told["error"]


def test_a_model_that_is_not_there_is_told_after_listening_with_exit_code_4(tmp_path: Path) -> None:
    settings = {"model": str(tmp_path / "nothing"), "port": 0}
    with server("engine", "-m", "engine", settings=settings, folder=tmp_path / "home") as running:
        assert running.process.wait(10) == 4
        assert f"no folder {tmp_path / 'nothing'}" in running.log_tail()
        assert "Traceback" not in running.log_tail()


def test_by_hand_it_takes_options(tmp_path: Path) -> None:
    ended = run("--model", str(tmp_path), "--port", "0")
    assert ended.returncode == 4
    listening, failed = map(json.loads, ended.stdout.splitlines())
    assert "listening" in listening
    assert failed == {"error": ended.stderr.splitlines()[-1], "exit_code": 4}
    assert "config.json" in failed["error"]


# As on macOS: processes are spawned, and locks between them have a tracker that outlives us.
DOWNLOAD_FAILS = """
import multiprocessing, runpy, sys
multiprocessing.set_start_method("spawn")
import huggingface_hub

def download(hub_id, tqdm_class, **_):
    tqdm_class(total=10, unit="B").update(1)
    raise OSError(28, "No space left on device")

huggingface_hub.snapshot_download = download
sys.argv = ["engine", "--model", "org/model", "--port", "0"]
runpy.run_module("engine", run_name="__main__", alter_sys=True)
"""


def test_a_download_that_fails_is_the_last_word_and_announced() -> None:
    ended = subprocess.run(
        python("-c", DOWNLOAD_FAILS),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        env=clean_environment(),
        check=False,
    )
    assert ended.returncode == 4
    failed = json.loads(ended.stdout.splitlines()[-1])
    assert failed["exit_code"] == 4
    assert "is full, so org/model is not complete" in failed["error"]
    assert ended.stderr.splitlines()[-1] == failed["error"]
    assert "resource_tracker" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said", "message"),
    [
        ((), "", "no settings on stdin"),
        ((), "{", "JSON"),
        ((), '{"port": "many"}', "port = 'many'"),
        (("--port", "99999999"), "", "port"),
    ],
)
def test_wrong_settings_are_told_with_exit_code_2(
    arguments: tuple[str, ...], said: str, message: str
) -> None:
    ended = run(*arguments, said=said)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert json.loads(ended.stdout)["exit_code"] == 2


def test_help_teaches_every_option() -> None:
    ended = run("--help")
    assert ended.returncode == 0
    for option in ("--model", "--port", "--context-length", "--prefix-cache-bytes", "Example:"):
        assert option in ended.stdout


# A Mac in whose session MLX finds no Metal device, and so takes the CPU.
NO_METAL = """
import platform, runpy, types
import mlx.core as mx
mx.set_default_device(mx.cpu)
import engine.models.device_name
engine.models.device_name.platform = types.SimpleNamespace(system=lambda: "Darwin")
runpy.run_module("engine", run_name="__main__", alter_sys=True)
"""


def test_a_mac_that_computes_without_metal_says_so(shelf: ModelShelf, tmp_path: Path) -> None:
    settings = {"model": str(shelf.tiny()), "port": 0}
    with server("engine", "-c", NO_METAL, settings=settings, folder=tmp_path / "home") as running:
        wait_ready(running, "/health")
        health = httpx.get(f"{running.url}/health", trust_env=False).json()
        assert health["accelerated"] == "cpu: no Metal device in this session"
        assert any("fifty times slower" in note for note in health["notes"])
        log = running.log_tail()
        assert "matrix products by cpu: no Metal device in this session" in log
        assert "WARNING engine: " in log


def test_it_answers_while_it_loads_and_ends_promptly_all_the_same(shelf: ModelShelf, tmp_path: Path) -> None:
    model = tmp_path / "slow"
    model.mkdir()
    for file in shelf.tiny().iterdir():
        (model / file.name).symlink_to(file)
    os.mkfifo(model / "generation_config.json")  # the loader waits here, as on a slow disk
    settings = {"model": str(model), "port": 0}
    with server("engine", "-m", "engine", settings=settings, folder=tmp_path / "home") as running:
        health = httpx.get(f"{running.url}/health", trust_env=False)
        assert (health.status_code, health.json()["state"]) == (503, "loading")
        body = {"messages": [{"role": "user", "content": "hi"}]}
        answer = httpx.post(f"{running.url}/v1/chat/completions", json=body, trust_env=False)
        assert answer.status_code == 503
        assert "still loading" in answer.json()["error"]["message"]
        assert answer.headers["retry-after"] == "1"
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(5) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_tells_open_streams_and_ends(
    shelf: ModelShelf, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
    with engine(shelf.tiny(), tmp_path) as running:
        url = f"{running.url}/v1/chat/completions"
        with httpx.stream("POST", url, json=body, timeout=10, trust_env=False) as answer:
            lines: list[Any] = []
            for line in answer.iter_lines():
                lines += [json.loads(line[6:])] if line.startswith("data: {") else []
                assert line != "data: [DONE]"
                if len(lines) == 2:
                    running.process.send_signal(number)
        assert "shutting down" in lines[-1]["error"]["message"]
        assert running.process.wait(5) == code


FAILING = """
import os, sys
import mlx.core as mx
from pathlib import Path
from engine.__main__ import main
from engine.scheduling.loop import DecodeLoop

def failing(run):
    def wrapped(*arguments):
        # Not in an idle turn, before the request has come.
        loop = arguments[0] if arguments and isinstance(arguments[0], DecodeLoop) else None
        if Path(os.environ["HOME"], "fail").exists() and (loop is None or loop.queued or loop.running):
            raise {fault}
        return run(*arguments)
    return wrapped

{what} = failing({what})
code = main([])
sys.stdout.flush()
os._exit(code)
"""


@pytest.mark.parametrize(
    ("what", "fault", "code", "status", "words"),
    [
        (
            "mx.synchronize",
            f"RuntimeError({REFUSED!r})",
            *(5, 503, "the GPU refused further work ([METAL]"),
        ),
        (
            "DecodeLoop.turn",
            "KeyError('a fault of ours')",
            *(1, 500, "the model's loop failed (KeyError: 'a fault of ours')"),
        ),
    ],
)
def test_an_engine_whose_loop_ends_tells_its_requests_and_ends_as_a_process(
    shelf: ModelShelf, tmp_path: Path, what: str, fault: str, code: int, status: int, words: str
) -> None:
    settings = {"model": str(shelf.tiny()), "host": "127.0.0.1", "port": 0}
    program = FAILING.format(what=what, fault=fault)
    with server("engine", "-c", program, settings=settings, folder=tmp_path) as running:
        wait_ready(running, "/health")
        (tmp_path / "fail").touch()
        body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
        answer = httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=30, trust_env=False)
        assert answer.status_code == status
        assert running.process.wait(20) == code
        assert words in running.log_tail()
        if code == 5:
            assert answer.json()["error"]["message"].startswith(words)
            assert "try again" in answer.json()["error"]["message"]


def test_it_ends_with_its_parent(shelf: ModelShelf, tmp_path: Path) -> None:
    with engine(shelf.tiny(), tmp_path) as running:
        assert running.process.stdin is not None
        running.process.stdin.close()
        poll(lambda: running.process.poll() is not None, timeout_s=5, what="the engine to end")
        assert running.process.returncode == 0
        assert "Traceback" not in running.log_tail()
