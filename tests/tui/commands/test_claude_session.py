from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.child import clean_environment
from bench.scripted_upstream import ScriptedUpstream, Turn, in_order, serving
from tests.tui.scripted_host import scripted_host

COMMAND = Path(sys.executable).with_name("anyclaude-tui")

# Stands in for Claude Code: tells on stdout what it was given, then does as it is told.
CLIENT = f"""#!{sys.executable}
import json, os, signal, sys
settings = json.load(open(sys.argv[2]))
print(json.dumps({{"args": sys.argv[1:], "env": dict(os.environ), "settings": settings}}), flush=True)
if "wait" in sys.argv:
    got = []
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not `print`, which a signal may have interrupted.
        signal.signal(number, lambda number, _: (os.write(1, b"%d\\n" % number), sys.exit(40 + number)))
    print("waiting", flush=True)
    while True:
        signal.pause()
if "kill" in sys.argv:
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(7)
"""


@pytest.fixture
def client(tmp_path: Path) -> Path:
    path = tmp_path / "bin" / "claude"
    path.parent.mkdir()
    path.write_text(CLIENT)
    path.chmod(0o755)
    return path


@contextmanager
def session(client: Path, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    folder = client.parent.parent
    path = f"{client.parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        [str(COMMAND), *arguments],
        cwd=folder,
        env=clean_environment(HOME=str(folder), PATH=path, **environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def given(process: subprocess.Popen[str]) -> Any:
    """What the client was given."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr.read() if process.stderr else ""
    return json.loads(line)


def run(client: Path, *arguments: str, **environ: str) -> tuple[int, Any, str]:
    """A session to its end: exit code, what the client was given, stderr."""
    with session(client, *arguments, **environ) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, json.loads(out.splitlines()[0]) if out else None, err


def test_all_arguments_go_through_and_the_exit_code_comes_back(client: Path) -> None:
    with scripted_host() as host:
        arguments = ["-p", "two words", "--help", "--model=x", "--", "-h", ""]
        code, got, said = run(client, "--attach", host.url, "claude", *arguments)
    assert code == 7
    assert got["args"][0] == "--settings"
    assert got["args"][2:] == arguments
    assert f"joined the host on {host.url}" in said


def test_a_first_double_dash_frees_even_help(client: Path) -> None:
    with scripted_host() as host:
        _, got, _ = run(client, "--attach", host.url, "claude", "--", "--help")
    assert got["args"][2:] == ["--help"]


def test_the_clients_environment_leads_to_the_host_alone(client: Path) -> None:
    with scripted_host() as host:
        _, got, _ = run(
            client,
            "--attach",
            host.url,
            "claude",
            CLAUDE_CODE_USE_BEDROCK="1",
            ANTHROPIC_BASE_URL="https://elsewhere.example",
        )
    assert got["env"]["ANTHROPIC_BASE_URL"] == host.url
    assert got["env"]["ANTHROPIC_DEFAULT_HAIKU_MODEL"] == "Tiny"
    assert "CLAUDE_CODE_USE_BEDROCK" not in got["env"]
    assert got["settings"]["env"]["ANTHROPIC_BASE_URL"] == host.url
    assert not Path(got["args"][1]).exists()


def test_auto_mode_is_off_and_the_users_own_rules_stay(client: Path) -> None:
    rules = '{"permissions": {"deny": ["Bash(rm *)"], "defaultMode": "acceptEdits"}}'
    with scripted_host() as host:
        _, got, said = run(client, "--attach", host.url, "claude", "--settings", rules, "-p")
    assert got["settings"]["permissions"] == {
        "deny": ["Bash(rm *)"],
        "defaultMode": "acceptEdits",
        "disableAutoMode": "disable",
    }
    assert "auto mode" not in said


def test_the_option_switches_auto_mode_on_with_a_notice(client: Path) -> None:
    with scripted_host() as host:
        _, got, said = run(client, "--attach", host.url, "claude", "--permission-mode", "auto")
    assert "permissions" not in got["settings"]
    assert "edits your project without a question, and stops" in said


@pytest.mark.parametrize("fields", [{"backend": "claude"}, {"auto_mode": "rules"}])
def test_auto_mode_is_left_to_who_answers_it(client: Path, fields: dict[str, str]) -> None:
    with scripted_host(**fields) as host:
        _, got, said = run(client, "--attach", host.url, "claude", "--permission-mode", "auto")
    assert "permissions" not in got["settings"]
    assert "auto mode" not in said


def test_settings_that_are_broken_end_it_before_anything_starts(client: Path) -> None:
    with scripted_host() as host:
        code, got, said = run(
            client, "--attach", host.url, "claude", "--settings", '{"permissions": ["Bash"]}'
        )
    assert (code, got) == (2, None)
    assert "permissions must be a JSON object" in said


@pytest.mark.parametrize("form", ["", "--json", "--fish"])
def test_env_says_how_to_switch_auto_mode_off_and_keeps_stdout_clean(client: Path, form: str) -> None:
    with scripted_host() as host:
        ended = subprocess.run(
            [str(COMMAND), "--attach", host.url, "env", *([form] if form else [])],
            env=clean_environment(HOME=str(client.parent.parent)),
            capture_output=True,
            text=True,
            check=True,
        )
        host.backend = "claude"
        passing = subprocess.run(
            [str(COMMAND), "--attach", host.url, "env"],
            env=clean_environment(HOME=str(client.parent.parent)),
            capture_output=True,
            text=True,
            check=True,
        )
    assert """claude --settings '{"permissions":{"disableAutoMode":"disable"}}'""" in ended.stderr
    assert "permissions" not in ended.stdout
    assert "permissions" not in passing.stderr + passing.stdout


def test_the_models_window_comes_from_the_host(client: Path) -> None:
    with scripted_host() as host:
        host.engine["context_tokens"] = 40_960
        _, got, said = run(client, "--attach", host.url, "claude")
        assert got["env"]["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "40960"
        assert "contextTokens" not in said
        del host.engine["context_tokens"]
        _, got, said = run(client, "--attach", host.url, "claude")
        assert "CLAUDE_CODE_MAX_CONTEXT_TOKENS" not in got["env"]
        assert "backends.mlx.contextTokens" in said


def test_in_a_small_window_answers_are_shorter_and_the_users_own_values_win(client: Path) -> None:
    names = ("CLAUDE_CODE_MAX_CONTEXT_TOKENS", "CLAUDE_CODE_MAX_OUTPUT_TOKENS")

    def told(*arguments: str, **environ: str) -> tuple[str, str]:
        _, got, said = run(client, "--attach", host.url, "claude", *arguments, **environ)
        assert "too small" not in said
        effective = {**got["env"], **{k: v for k, v in got["settings"]["env"].items() if k in names}}
        return effective[names[0]], effective[names[1]]

    with scripted_host() as host:
        host.engine["context_tokens"] = 40_960
        assert told() == ("40960", "4096")
        assert told(CLAUDE_CODE_MAX_OUTPUT_TOKENS="3000") == ("40960", "3000")
        given = '{"env": {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "50000"}}'
        assert told("--settings", given) == ("50000", "5000")

        project = client.parent.parent / ".claude"
        project.mkdir()
        (project / "settings.json").write_text('{"env": {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "2000"}}')
        _, got, _ = run(client, "--attach", host.url, "claude")
        assert names[1] not in got["env"]
        assert names[1] not in got["settings"]["env"]


def test_claude_and_env_warn_of_a_window_too_small_for_long_tasks(client: Path) -> None:
    with scripted_host() as host:
        host.engine["context_tokens"] = 32_768
        code, _, said = run(client, "--attach", host.url, "claude")
        env = subprocess.run(
            [str(COMMAND), "--attach", host.url, "env"],
            env=clean_environment(HOME=str(client.parent.parent)),
            capture_output=True,
            text=True,
            check=True,
        )
        host.backend = "claude"
        _, _, passing = run(client, "--attach", host.url, "claude")
    assert code == 7
    assert "the window of 32768 tokens is too small for long tasks" in said
    assert "the window of 32768 tokens is too small for long tasks" in env.stderr
    assert "export CLAUDE_CODE_MAX_OUTPUT_TOKENS=2048" in env.stdout
    assert "too small" not in passing


def test_a_host_on_the_port_is_joined(client: Path) -> None:
    with scripted_host() as host:
        port = host.url.rsplit(":", 1)[1]
        code, got, said = run(client, "--port", port, "--model", "org/other", "claude")
    assert (code, got["env"]["ANTHROPIC_BASE_URL"]) == (7, host.url)
    assert "--model is ignored" in said


@pytest.mark.parametrize(
    ("option", "value", "ignored"),
    [
        ("--home", "/home", False),
        ("--home", "/home/../home/", False),
        ("--home", "/elsewhere", True),
        ("--backend", "mlx", False),
        ("--backend", "lmstudio", True),
    ],
)
def test_only_what_a_joined_host_has_otherwise_is_said_to_be_ignored(
    client: Path, tmp_path: Path, option: str, value: str, ignored: bool
) -> None:
    with scripted_host() as host:
        port = host.url.rsplit(":", 1)[1]
        _, _, said = run(client, "--port", port, option, value, "claude")
    assert (f"{option} is ignored" in said) is ignored, said


def test_the_session_begins_when_the_model_is_ready(client: Path) -> None:
    with (
        scripted_host(engine="loading") as host,
        session(client, "--attach", host.url, "claude") as process,
    ):
        host.wait_for_followers(1)
        host.engine_is("loading", progress=0.5)
        host.engine_is("ready")
        assert given(process)
        assert process.stderr is not None
        said = process.stderr.read()
        assert "loading 50 %" in said
        assert "engine: ready" in said


def test_a_failed_engine_ends_it_with_4_and_the_last_log_lines(client: Path) -> None:
    with scripted_host(engine="failed") as host:
        host.engine["detail"] = "5 restarts did not help"
        host.engine_log = ["out of memory"]
        code, got, said = run(client, "--attach", host.url, "claude")
    assert (code, got) == (4, None)
    assert "5 restarts did not help" in said
    assert "out of memory" in said


def test_another_program_on_the_port_is_named(client: Path) -> None:
    with serving(ScriptedUpstream(in_order([Turn("Hi.")])).app) as url:
        port = url.split(":")[2].split("/")[0]
        code, got, said = run(client, "--port", port, "claude")
    assert (code, got) == (3, None)
    assert f"port {port} is in use by " in said
    assert f"(pid {os.getpid()})" in said


def test_nothing_to_join_is_a_clear_error(client: Path) -> None:
    code, got, said = run(client, "--attach", "127.0.0.1:9", "claude")
    assert (code, got) == (2, None)
    assert "no host to join on http://127.0.0.1:9" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["claude"], "npm install -g @anthropic-ai/claude-code"), (["claude", "--claude-path", "x"], "x is no")],
)
def test_a_missing_client_is_reported_with_the_install_command(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    ended = subprocess.run(
        [str(COMMAND), *arguments],
        env=clean_environment(HOME=str(tmp_path), PATH=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert says in ended.stderr


def test_no_program_of_the_folder_is_taken_for_the_client_by_a_variable(client: Path) -> None:
    code, got, said = run(client, "--port", "0", "claude", ANYCLAUDE_CLAUDE="bin/claude")
    assert (code, got) == (2, None)
    assert "ANYCLAUDE_CLAUDE is bin/claude, which depends on the folder" in said


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_the_client_decides_what_they_mean(self, client: Path, number: signal.Signals) -> None:
        with scripted_host() as host, session(client, "--attach", host.url, "claude", "wait") as process:
            assert given(process)
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting\n"
            if number == signal.SIGINT:
                os.killpg(process.pid, number)  # as a terminal does it: to all in front
            else:
                process.send_signal(number)
            assert process.stdout.readline() == f"{int(number)}\n"
            assert process.wait(10) == 40 + number

    def test_a_client_that_is_killed_gives_128_and_the_signal(self, client: Path) -> None:
        with scripted_host() as host:
            code, _, _ = run(client, "--attach", host.url, "claude", "kill")
        assert code == 128 + signal.SIGKILL

    def test_ctrl_c_while_it_waits_for_the_model_ends_it(self, client: Path) -> None:
        with (
            scripted_host(engine="loading") as host,
            session(client, "--attach", host.url, "claude") as process,
        ):
            host.wait_for_followers(1)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()


@pytest.mark.slow
class TestItsOwnHost:
    """The real proxy, started for one session, with an upstream of the test in place of a model."""

    @pytest.fixture
    def options(self, client: Path) -> Iterator[dict[str, str]]:
        with serving(ScriptedUpstream(in_order([Turn("Hi.")])).app) as url:
            yield {"ANYCLAUDE_BACKEND": "openai", "ANYCLAUDE_BASE_URL": url, "ANYCLAUDE_PORT": "0"}

    def test_it_is_started_and_stopped_with_the_session(self, client: Path, options: dict[str, str]) -> None:
        code, got, said = run(client, "--model", "scripted", "claude", **options)
        assert code == 7, said
        assert got["env"]["ANTHROPIC_DEFAULT_OPUS_MODEL"] == "scripted"
        assert "starting a host for this session" in said

    def test_it_survives_ctrl_c_and_ends_with_the_session(
        self, client: Path, options: dict[str, str]
    ) -> None:
        with session(client, "--model", "scripted", "claude", "wait", **options) as process:
            assert given(process)
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting\n"
            children = psutil.Process(process.pid).children(recursive=True)
            assert len(children) >= 2
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(20) == 42
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == []

    def test_it_ends_also_when_this_command_is_killed(self, client: Path, options: dict[str, str]) -> None:
        with session(client, "--model", "scripted", "claude", "wait", **options) as process:
            got = given(process)
            url = got["env"]["ANTHROPIC_BASE_URL"]
            host = next(
                child
                for child in psutil.Process(process.pid).children()
                if any(c.laddr.port == int(url.rsplit(":", 1)[1]) for c in child.net_connections())
            )
            rest = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            psutil.wait_procs([host], timeout=15)
            assert not host.is_running()
        for child in rest:  # the client has no parent watch; it is the test's to end
            if child.is_running():
                child.kill()
