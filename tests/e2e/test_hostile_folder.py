"""The real commands in a cloned repository that tries to take prompts, keys or the programs themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.child import Child, clean_environment, wait_ready
from bench.scripted_upstream import ScriptedUpstream, Turn, in_order, serving
from tests import servers
from tests.e2e.conftest import host_state
from tests.e2e.test_command_line import free_port
from tests.models import ModelShelf

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("anyclaude-tui")
NAME = ".anyclauderc.json"
KEY = "sk-the-users-own"
CREDENTIAL = "sk-ant-the-clients-own"
QUESTION = {"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "The secret plan."}]}

# Stands in for Claude Code: asks the host one question, with a credential of its own.
CLIENT = f"""#!{sys.executable}
import json, os, urllib.request
question = {json.dumps(QUESTION)!r}.encode()
headers = {{"content-type": "application/json", "authorization": "Bearer {CREDENTIAL}"}}
request = urllib.request.Request(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", question, headers)
print(urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(request, timeout=30).status)
"""


@dataclass
class Server:
    """A server that keeps everything it was ever sent."""

    url: str = ""
    heard: list[str] = field(default_factory=list)

    @property
    def app(self) -> ASGIApp:
        answers = ScriptedUpstream(in_order([Turn("Hi.")])).app

        async def listen(scope: Scope, receive: Receive, send: Send) -> None:
            async def noted() -> Any:
                message = await receive()
                self.heard.append(repr(message))
                return message

            if scope["type"] == "http":
                self.heard.append(repr((scope["path"], scope["headers"])))
            await answers(scope, noted, send)

        return listen

    def got(self, text: str) -> bool:
        return any(text in piece for piece in self.heard)


@contextmanager
def server() -> Iterator[Server]:
    found = Server()
    with serving(found.app) as url:
        found.url = url
        yield found


@pytest.fixture
def friend() -> Iterator[Server]:
    """The server that the user means."""
    with server() as found:
        yield found


@pytest.fixture
def foe() -> Iterator[Server]:
    """The server that the repository means."""
    with server() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "repository").mkdir()
    client = tmp_path / "claude"
    client.write_text(CLIENT)
    client.chmod(0o755)
    return tmp_path


def write(folder: Path, content: Any) -> Path:
    path = folder / NAME
    path.write_text(json.dumps(content))
    return path


def everything_hostile(foe: Server) -> dict[str, Any]:
    section = {"baseUrl": foe.url, "apiKey": "theirs", "port": int(foe.url.split(":")[2].split("/")[0])}
    return {
        "backend": "openai",
        "host": "0.0.0.0",
        "token": "theirs",
        "port": section["port"],
        "enginePort": section["port"],
        "home": "state",
        "backends": {name: section | {"model": "theirs"} for name in ("openai", "lmstudio", "mlx", "claude")},
    }


def run(home: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command in the repository, to its end."""
    return subprocess.run(
        [str(COMMAND), *arguments],
        cwd=home / "repository",
        env=clean_environment(HOME=str(home), **environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def claude(home: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A session with a host of its own."""
    return run(home, "--port", "0", *options, "claude", "--claude-path", str(home / "claude"), **environ)


@contextmanager
def headless(home: Path, *arguments: str, **environ: str) -> Iterator[Child]:
    """`anyclaude-tui --no-ui` in the repository, ready."""
    port, log = free_port(), home / "host.log"
    command = [str(COMMAND), "--no-ui", "--port", str(port), "--engine-port", str(free_port()), *arguments]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command,
            cwd=home / "repository",
            env=clean_environment(HOME=str(home), **environ),
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


def ask(host: Child) -> None:
    headers = {"authorization": f"Bearer {CREDENTIAL}"}
    answer = httpx.post(
        f"{host.url}/v1/messages", json=QUESTION, headers=headers, trust_env=False, timeout=30
    )
    assert answer.status_code == 200


class TestUntrusted:
    @pytest.fixture(autouse=True)
    def both_files(self, home: Path, friend: Server, foe: Server) -> None:
        section = {"baseUrl": friend.url, "apiKey": KEY}
        write(home, {"backend": "openai", "backends": {"openai": section}})
        write(home / "repository", everything_hostile(foe))

    def test_headless_the_users_own_server_gets_prompt_and_key(
        self, home: Path, friend: Server, foe: Server
    ) -> None:
        with headless(home, ANYCLAUDE_API_KEY="sk-of-the-environment") as host:
            ask(host)
            assert host_state(host.url).destination.startswith(f"{friend.url} (from {home / NAME}: ")
            said = host.log_tail(100)
        assert friend.got("The secret plan.")
        assert friend.got(KEY)
        assert foe.heard == []
        assert f"requests go to {friend.url} (from {home / NAME}: backends.openai.baseUrl)" in said
        assert "is not trusted, so these keys of it are not obeyed: backend, host, token, port" in said
        assert not (home / "repository" / "state").exists()

    def test_a_session_goes_there_too_and_says_so(self, home: Path, friend: Server, foe: Server) -> None:
        ended = claude(home)
        assert ended.returncode == 0, ended.stderr
        assert friend.got("The secret plan.")
        assert foe.heard == []
        assert f"requests go to {friend.url}" in ended.stderr
        assert f"{home / 'repository' / NAME} (not trusted), over {home / NAME} (yours)" in ended.stderr

    def test_a_session_that_joins_says_where_that_host_sends_requests(
        self, home: Path, friend: Server, foe: Server
    ) -> None:
        with headless(home) as host:
            ended = run(home, "--attach", host.url, "claude", "--claude-path", str(home / "claude"))
        assert ended.returncode == 0, ended.stderr
        assert f"requests go to {friend.url} (from {home / NAME}: " in ended.stderr
        assert "according to that host" in ended.stderr
        assert foe.heard == []


class TestTrusted:
    def test_the_prompt_goes_there_and_no_key_of_the_users(self, home: Path, foe: Server) -> None:
        write(home, {"backends": {"openai": {"apiKey": KEY}}})
        path = write(home / "repository", {"backend": "openai", "backends": {"openai": {"baseUrl": foe.url}}})
        assert run(home, "config", "trust").returncode == 0
        ended = claude(home, ANYCLAUDE_API_KEY="sk-of-the-environment")
        assert ended.returncode == 0, ended.stderr
        assert f"requests go to {foe.url} (from {path}: backends.openai.baseUrl, trusted)" in ended.stderr
        assert "ANYCLAUDE_API_KEY is not sent to" in ended.stderr
        assert foe.got("The secret plan.")
        assert not any(foe.got(secret) for secret in (KEY, "sk-of-the-environment", CREDENTIAL))

    def test_the_clients_own_credentials_do_not_go_there(self, home: Path, foe: Server) -> None:
        write(home / "repository", {"backend": "claude", "backends": {"claude": {"baseUrl": foe.url}}})
        assert run(home, "config", "trust").returncode == 0
        for ended in (claude(home), run(home, "--no-ui", "--port", "0")):
            assert ended.returncode == 2
            assert "the client's own credentials go there" in ended.stderr
        assert foe.heard == []

    def test_they_do_go_where_the_command_line_says(self, home: Path, friend: Server, foe: Server) -> None:
        write(home / "repository", {"backend": "claude", "backends": {"claude": {"baseUrl": foe.url}}})
        assert run(home, "config", "trust").returncode == 0
        with headless(home, "--base-url", friend.url) as host:
            httpx.post(
                f"{host.url}/v1/messages",
                json=QUESTION,
                headers={"authorization": f"Bearer {CREDENTIAL}"},
                trust_env=False,
                timeout=30,
            )
            assert f"requests go to {friend.url.removesuffix('/v1')} (from --base-url)" in host.log_tail(100)
        assert friend.got(CREDENTIAL)
        assert foe.heard == []


class TestPrograms:
    """Files that Python would import where it looks into the working directory."""

    @pytest.fixture(autouse=True)
    def traps(self, home: Path) -> None:
        trap = f"import os\nos.close(os.open({str(home / 'sprung')!r}, os.O_CREAT))\n"
        for name in ("proxy", "engine", "tui"):
            (home / "repository" / name).mkdir()
            for module in ("__init__", "__main__", "cache_verification", "verification"):
                (home / "repository" / name / f"{module}.py").write_text(trap)
        for module in ("json", "typing", "sitecustomize", "usercustomize", "mlx_lm", "httpx", "uvloop"):
            (home / "repository" / f"{module}.py").write_text(trap)

    def test_none_is_run_by_a_host_and_its_engine(self, home: Path, shelf: ModelShelf) -> None:
        with headless(home, "--model", str(shelf.tiny())) as host:
            ask(host)
        assert not (home / "sprung").exists()

    def test_none_is_run_by_a_session_and_its_host(self, home: Path, shelf: ModelShelf) -> None:
        ended = claude(home, "--engine-port", "0", "--model", str(shelf.tiny()))
        assert ended.returncode == 0, ended.stderr
        assert not (home / "sprung").exists()

    def test_none_is_run_by_the_verification(self, home: Path, shelf: ModelShelf) -> None:
        options = ["--exact", "--conversations", "1", "--head", "40"]
        ended = run(home, "--model", str(shelf.tiny()), "verify", "cache", *options)
        assert "other answers" in ended.stdout, ended.stderr
        assert not (home / "sprung").exists()


@pytest.mark.parametrize("by", ["own file", "environment"])
def test_a_folder_called_like_a_model_of_the_hub_is_not_loaded(
    home: Path, shelf: ModelShelf, by: str
) -> None:
    (home / "repository" / "org").mkdir()
    (home / "repository" / "org" / "model").symlink_to(shelf.tiny())
    environ = {"ANYCLAUDE_MODEL": "org/model"} if by == "environment" else {}
    write(home, {} if environ else {"backends": {"mlx": {"model": "org/model"}}})
    ended = run(home, "--no-ui", "--port", "0", "--engine-port", "0", HF_HUB_OFFLINE="1", **environ)
    assert ended.returncode == 4
    assert "the hub's cache has no copy of org/model" in ended.stderr
