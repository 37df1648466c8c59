"""`anyclaude-tui` as a user meets it when something is wrong, and when it is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from bench.child import Child, clean_environment, wait_ready
from bench.scripted_upstream import ScriptedUpstream, Turn, in_order, serving
from tests import servers
from tests.e2e.conftest import host_state
from tests.e2e.feed_reader import FeedReader
from tests.models import ModelShelf

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("anyclaude-tui")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty working directory with a home beside it."""
    (tmp_path / "work").mkdir()
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    return clean_environment(HOME=str(folder), ANYCLAUDE_HOME=str(folder / "anyclaude"))


def run(folder: Path, *arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [str(COMMAND), *arguments],
        cwd=folder / "work",
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Child]:
    """`anyclaude-tui --no-ui` in the foreground, on a free port, ready."""
    port = free_port()
    log = folder / "host.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [str(COMMAND), "--no-ui", "--port", str(port), "--engine-port", str(free_port()), *arguments],
            cwd=folder / "work",
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
        )
    host = Child("anyclaude-tui --no-ui", process, log, f"http://127.0.0.1:{port}")
    servers.STARTED.append(host)
    try:
        wait_ready(host)
        yield host
    finally:
        host.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def errors_of(ended: subprocess.CompletedProcess[str]) -> str:
    """The last line on stderr, after a check that nothing looks like a crash."""
    assert "Traceback" not in ended.stderr + ended.stdout
    lines = [line for line in ended.stderr.splitlines() if line.strip()]
    assert lines, "nothing on stderr"
    return lines[-1]


def test_a_busy_port_is_named_with_what_to_do(folder: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        ended = run(folder, "--no-ui", "--port", port)
    assert ended.returncode == 3
    assert port in errors_of(ended)
    assert "--port" in errors_of(ended)


def test_a_missing_model_folder_is_named(folder: Path) -> None:
    ended = run(folder, "--no-ui", "--port", str(free_port()), "--model", str(folder / "nowhere"))
    assert ended.returncode == 2
    assert str(folder / "nowhere") in errors_of(ended)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"backend": ', "line 1"),
        ('{"backend": "abacus"}', "abacus"),
        ('{"backends": {"mlx": {"port": "many"}}}', "port"),
        ("[]", "object"),
    ],
    ids=["no JSON", "unknown backend", "wrong value", "no object"],
)
def test_a_broken_config_names_the_file_and_the_place(folder: Path, text: str, said: str) -> None:
    config = folder / "broken.json"
    config.write_text(text)
    ended = run(folder, "--no-ui", "--port", str(free_port()), "--config", str(config))
    assert ended.returncode == 2
    assert str(config) in errors_of(ended)
    assert said in errors_of(ended)


def test_a_config_that_is_not_there_is_named(folder: Path) -> None:
    ended = run(folder, "--no-ui", "--config", str(folder / "gone.json"))
    assert ended.returncode == 2
    assert str(folder / "gone.json") in errors_of(ended)


@pytest.mark.parametrize("files", [{}, {"config.json": "{}"}, {"config.json": "model"}])
def test_a_folder_that_holds_no_model_is_said_to_be_none(folder: Path, files: dict[str, str]) -> None:
    model = folder / "no-model"
    model.mkdir()
    for name, text in files.items():
        (model / name).write_text(text)
    ended = run(folder, "--no-ui", "--port", str(free_port()), "--engine-port", "0", "--model", str(model))
    assert ended.returncode == 2
    assert str(model) in errors_of(ended)


@pytest.mark.parametrize("change", [{"model_type": "teapot"}, {"hidden_size": 48}], ids=["kind", "size"])
def test_a_model_that_the_engine_cannot_load_is_named(
    folder: Path, shelf: ModelShelf, change: dict[str, object]
) -> None:
    model = shutil.copytree(shelf.tiny(), folder / "broken-model")
    config = model / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    port, engine_port = str(free_port()), str(free_port())
    ended = run(folder, "--no-ui", "--port", port, "--engine-port", engine_port, "--model", str(model))
    assert ended.returncode == 4
    assert str(model) in errors_of(ended)


def test_an_unknown_option_is_a_usage_error(folder: Path) -> None:
    ended = run(folder, "--no-iu")
    assert ended.returncode == 2
    assert "--no-ui" in ended.stderr


def test_attaching_where_no_host_is_says_so(folder: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    ended = run(folder, "events", "--json", "--attach", url)
    assert ended.returncode != 0
    assert url in errors_of(ended)


def test_the_host_answers_and_ends_with_130_on_ctrl_c(folder: Path, shelf: ModelShelf) -> None:
    with running(folder, "--model", str(shelf.tiny())) as host:
        children = host.tree()
        body = {"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi."}]}
        answer = httpx.post(f"{host.url}/v1/messages", json=body, trust_env=False, timeout=30)
        assert answer.status_code == 200
        host.process.send_signal(signal.SIGINT)
        assert host.process.wait(15) == 130
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == []
    assert "Traceback" not in host.log_tail(1000)
    report = host.log_tail(4)
    assert "this run: 1 request in " in report
    assert "cache: 0.0% of requests" in report


def test_nothing_is_left_running_after_a_kill_of_the_host(folder: Path, shelf: ModelShelf) -> None:
    with running(folder, "--model", str(shelf.tiny())) as host:
        children = host.tree()
        engine = host_state(host.url).engine.pid
        assert engine in {process.pid for process in children}
        os.kill(host.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(children, timeout=15)
        assert alive == []


def test_the_events_command_prints_the_feed_as_json_lines(folder: Path) -> None:
    scripted = ScriptedUpstream(in_order([Turn("Hi.")]))
    with (
        serving(scripted.app) as url,
        servers.proxy(folder, backend="openai", backend_url=url, model="scripted") as proxy,
    ):
        body = {"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi."}]}
        httpx.post(f"{proxy.url}/v1/messages", json=body, trust_env=False).raise_for_status()
        FeedReader(proxy.url).until_type("request.finished")
        command = [str(COMMAND), "events", "--json", "--attach", proxy.url]
        with subprocess.Popen(
            command, env=environment(folder), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        ) as following:
            assert following.stdout is not None
            types = []
            for line in following.stdout:
                types.append(json.loads(line)["type"])
                if types[-1] == "request.finished":
                    break
            following.terminate()
    assert "request.received" in types
