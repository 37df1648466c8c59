from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from bench.child import clean_environment
from proxy.configuration.settings import SETTINGS
from tests.tui.forked_commands import commands
from tests.tui.scripted_host import scripted_host

COMMAND = Path(sys.executable).with_name("anyclaude-tui")


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The real command, in `folder`, to its end."""
    if sys.platform != "linux":  # elsewhere a system library may not work in a process that was forked
        return run_anew(folder, *arguments, **environ)
    environment = clean_environment(**({"HOME": str(folder)} | environ))
    return commands().run(COMMAND, arguments, folder, environment)


def run_anew(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The same in a fresh interpreter."""
    return subprocess.run(
        [str(COMMAND), *arguments],
        cwd=folder,
        env=clean_environment(**({"HOME": str(folder)} | environ)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_teaches(tmp_path: Path) -> None:
    ended = run(tmp_path, "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    for word in ("Examples", "Exit codes", "Where data lives", "--no-ui", "claude", "env", "events"):
        assert word in ended.stdout
    for setting in SETTINGS.values():
        assert setting.option in ended.stdout


def test_help_comes_at_once(tmp_path: Path) -> None:
    took = []
    for _ in range(3):
        begun = processor_time_of_children()
        run_anew(tmp_path, "--help")
        took.append(processor_time_of_children() - begun)
    assert min(took) < 0.4  # a quarter of that on an idle machine; importing a screen or a server is more


def processor_time_of_children() -> float:
    """In seconds, of those that have ended; unlike elapsed time, it tells nothing of who else runs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_the_version_is_data(tmp_path: Path) -> None:
    ended = run(tmp_path, "--version")
    assert ended.stdout.startswith("anyclaude-tui 0.")
    assert ended.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--no-iu"], "--no-ui"),
        (["--port", "many"], "--port"),
        (["nonsense"], "nonsense"),
        (["--no-ui", "--attach", "127.0.0.1:1"], "--attach"),
        (["--no-ui", "env"], '"env"'),
        (["--backend", "llama", "--no-ui"], '--backend is "llama"'),
        (["--port", "9005", "--engine-port", "9005", "--no-ui"], "port 9005"),
        (["--model", "/nowhere", "--no-ui"], "/nowhere does not exist"),
        (["--model", "/nowhere"], "/nowhere does not exist"),
        (["--model", "/nowhere", "claude", "--claude-path", "/bin/true"], "/nowhere does not exist"),
        (["--attach", "ftp://x", "env"], '--attach is "ftp://x"'),
        (["--attach", "http://me:pass@x?y", "env"], '--attach is "http://***@x..."'),
        (["--port", "0", "env"], "port 0"),
        (["--config", "gone.json", "events"], "gone.json is not there"),
        (["events", "--since", "-1"], "--since"),
    ],
)
def test_a_usage_error_ends_with_2_and_a_message(tmp_path: Path, arguments: list[str], says: str) -> None:
    ended = run(tmp_path, *arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("line", "code"),
    [("config schema >&-", 0), ("config check 2>&-", 0), ("<&-", 2), ("config show 2>&-", 0)],
)
def test_a_closed_stream_is_no_fault_of_ours(tmp_path: Path, line: str, code: int) -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", f'"$0" {line}', str(COMMAND)],
        cwd=tmp_path,
        env=clean_environment(HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert ended.returncode == code


def test_each_problem_of_a_config_has_its_line(tmp_path: Path) -> None:
    (tmp_path / ".anyclauderc.json").write_text('{"port": "x", "debug": {"level": 7}, "prot": 1}')
    ended = run(tmp_path, "--no-ui")
    assert ended.returncode == 2
    assert [line.split(": ")[2].split(" ")[0] for line in ended.stderr.splitlines()] == [
        "port",
        "debug.level",
    ]


def test_warnings_are_narration(tmp_path: Path) -> None:
    (tmp_path / ".anyclauderc.json").write_text('{"prot": 1}')
    ended = run(tmp_path, "env")
    assert ended.returncode == 0
    assert 'did you mean "port"?' in ended.stderr
    assert "prot" not in ended.stdout


def test_without_a_terminal_there_is_no_screen(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert ended.returncode == 2
    assert "--no-ui" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


class TestEnv:
    def test_it_prints_exports_and_nothing_else_on_stdout(self, tmp_path: Path) -> None:
        ended = run(tmp_path, "--port", "9", "env")
        assert ended.returncode == 0
        assert "export ANTHROPIC_BASE_URL=http://127.0.0.1:9\n" in ended.stdout
        assert all(line.split()[0] in ("export", "unset") for line in ended.stdout.splitlines())
        assert "no host answers" in ended.stderr

    def test_a_running_host_says_which_model_it_has(self, tmp_path: Path) -> None:
        off = tmp_path / ".claude" / "settings.json"
        off.parent.mkdir()
        off.write_text('{"permissions": {"disableAutoMode": "disable"}}')
        with scripted_host() as host:
            host.engine["context_tokens"] = 131_072
            ended = run(tmp_path, "env", "--json", "--attach", host.url)
        variables = json.loads(ended.stdout)
        assert variables["ANTHROPIC_BASE_URL"] == host.url
        assert variables["ANTHROPIC_DEFAULT_OPUS_MODEL"] == "Tiny"
        assert variables["CLAUDE_CODE_USE_BEDROCK"] is None
        assert ended.stderr.startswith(
            "requests go to the built-in engine on this machine, according to the host on "
        )
        assert len(ended.stderr.splitlines()) == 1

    def test_options_may_stand_before_or_after_the_command(self, tmp_path: Path) -> None:
        before = run(tmp_path, "--port", "9", "env", ANYCLAUDE_PORT="10").stdout
        assert before == run(tmp_path, "env", "--port", "9").stdout
        assert ":9\n" in before
