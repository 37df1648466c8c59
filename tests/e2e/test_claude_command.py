"""`anyclaude-tui claude` with the real Claude Code: on a host of its own, and on one that runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.child import clean_environment
from bench.scripted_upstream import Call, ScriptedUpstream, Turn, in_order, serving
from proxy.traces.schema import Trace
from tests import servers
from tests.e2e.real_client import claude_binary

pytestmark = [pytest.mark.claude_code, pytest.mark.slow]

COMMAND = Path(sys.executable).with_name("anyclaude-tui")
SAID = "I am a model of your own."


def run(
    folder: Path, *options: str, asks: str = "Who are you?", more: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Ask one question in an empty project, with a home that no Claude Code has seen."""
    (folder / "project").mkdir(exist_ok=True)
    return subprocess.run(
        [str(COMMAND), *options, "claude", "-p", asks, "--output-format", "json", *more],
        cwd=folder / "project",
        env=clean_environment(
            HOME=str(folder),
            ANYCLAUDE_HOME=str(folder / "anyclaude"),
            ANYCLAUDE_CLAUDE=str(claude_binary()),
            IS_SANDBOX="1",
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_a_session_on_a_host_of_its_own_is_answered_recorded_and_leaves_nothing_running(
    tmp_path: Path,
) -> None:
    with serving(ScriptedUpstream(in_order([Turn(SAID)])).app) as url:
        config = tmp_path / "config.json"
        backend = {"baseUrl": url, "model": "scripted"}
        config.write_text(json.dumps({"backend": "lmstudio", "backends": {"lmstudio": backend}}))
        ended = run(tmp_path, "--config", str(config), "--port", "0")

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["result"] == SAID
    traces: list[Trace] = servers.traces(tmp_path)
    assert {trace.backend for trace in traces} == {"lmstudio"}
    assert "starting a host for this session" in ended.stderr


def test_a_session_joins_the_host_that_runs(tmp_path: Path) -> None:
    scripted = ScriptedUpstream(in_order([Turn(SAID)]))
    with (
        serving(scripted.app) as url,
        servers.proxy(tmp_path, backend="openai", backend_url=url, model="scripted") as proxy,
    ):
        ended = run(tmp_path, "--attach", proxy.url)

        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["result"] == SAID
        assert f"joined the host on {proxy.url}" in ended.stderr
        assert proxy.process.poll() is None


def test_the_exit_code_of_the_client_is_passed_on(tmp_path: Path) -> None:
    scripted = ScriptedUpstream(in_order([Turn(SAID)]))
    with (
        serving(scripted.app) as url,
        servers.proxy(tmp_path, backend="openai", backend_url=url, model="scripted") as proxy,
    ):
        ended = run(tmp_path, "--attach", proxy.url, asks="--no-such-option")

    assert ended.returncode == 1
    assert "no-such-option" in ended.stderr


def test_a_deny_rule_of_the_users_own_settings_is_still_obeyed(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "conf").mkdir(parents=True)
    (project / "conf" / "secret.txt").write_text("treasure\n")
    rules = {"permissions": {"deny": ["Read(/secret.txt)", "Bash(touch *)"]}}
    (project / "conf" / "settings.json").write_text(json.dumps(rules))
    calls = (
        Call("Read", {"file_path": str(project / "conf" / "secret.txt")}),
        Call("Bash", {"command": "touch made.txt", "description": "Make a file"}),
    )
    scripted = ScriptedUpstream(in_order([Turn("", calls), Turn(SAID)]))
    with (
        serving(scripted.app) as url,
        servers.proxy(tmp_path, backend="openai", backend_url=url, model="scripted") as proxy,
    ):
        more = ["--settings", "conf/settings.json", "--dangerously-skip-permissions"]
        ended = run(tmp_path, "--attach", proxy.url, more=more)

    assert json.loads(ended.stdout)["result"] == SAID, ended.stderr
    results = [message["content"] for message in scripted.bodies[-1]["messages"] if message["role"] == "tool"]
    assert len(results) == 2
    assert all("denied" in str(result) for result in results), results
    assert not (project / "made.txt").exists()


def test_a_web_proxy_in_a_folders_settings_gets_nothing(tmp_path: Path) -> None:
    (settings := tmp_path / "project" / ".claude" / "settings.json").parent.mkdir(parents=True)
    proxy_names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    with (
        serving(ScriptedUpstream(in_order([Turn("The web proxy.")])).app) as elsewhere,
        serving(ScriptedUpstream(in_order([Turn(SAID)])).app) as url,
        servers.proxy(tmp_path, backend="openai", backend_url=url, model="scripted") as proxy,
    ):
        env = dict.fromkeys(proxy_names, elsewhere.removesuffix("/v1")) | {"NO_PROXY": "", "no_proxy": "corp"}
        settings.write_text(json.dumps({"env": env}))
        ended = run(tmp_path, "--attach", proxy.url)

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["result"] == SAID
