from __future__ import annotations

from pathlib import Path

import pytest
import typer

from proxy.configuration.settings import SETTINGS
from proxy.traces.files import trace_path
from tests.tui.test_cli import run
from tui.cli import app
from tui.commands.completion import backends, event_types, trace_ids, words_of


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder with three traces."""
    for backend, at, name in (("mlx", 1.0, "req_a1"), ("mlx", 2.0, "req_a2"), ("openai", 3.0, "req_b")):
        path = tmp_path / ".anyclaude" / "traces" / trace_path(backend, at, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def context(*arguments: str) -> typer.Context:
    command = typer.main.get_command(app)
    return command.make_context("anyclaude-tui", list(arguments), resilient_parsing=True)  # type: ignore[return-value]


def test_the_newest_traces_come_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("ANYCLAUDE_HOME", raising=False)
    assert [name for name, _ in trace_ids(context(), "")] == ["req_b", "req_a2", "req_a1"]
    assert [name for name, _ in trace_ids(context(), "req_a")] == ["req_a2", "req_a1"]
    monkeypatch.setenv("ANYCLAUDE_HOME", str(home / "elsewhere"))
    assert trace_ids(context(), "") == []
    assert len(trace_ids(context("--home", str(home / ".anyclaude")), "")) == 3


def test_words_come_from_the_table_of_settings() -> None:
    assert {name for name, setting in SETTINGS.items() if setting.option and words_of(setting)} == {
        "backend_name",
        "tool_format",
        "thinking_format",
    }
    assert backends("lm") == ["lmstudio"]
    assert event_types("engine.")[:2] == ["engine.*", "engine.state"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("anyclaude-tui sta", ["status", "statusline"]),
        ("anyclaude-tui --backend open", ["openai", "openrouter"]),
        ("anyclaude-tui traces show req_a", ["req_a2", "req_a1"]),
        ("anyclaude-tui --home ~nobody-of-this-name traces show req_a", []),
    ],
)
def test_a_shell_gets_them(home: Path, line: str, completed: list[str]) -> None:
    count = str(len(line.split()) - 1)
    asked = {"_ANYCLAUDE_TUI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": count}
    ended = run(home, **asked)
    assert (ended.returncode, ended.stdout.split()) == (0, completed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".bash_completions/anyclaude-tui.sh"),
        ("zsh", ".zfunc/_anyclaude-tui"),
        ("fish", ".config/fish/completions/anyclaude-tui.fish"),
    ],
)
def test_it_installs_for_each_shell(tmp_path: Path, shell: str, file: str) -> None:
    """Typer asks the shell above it; its own tests name one in this way."""
    ended = run(tmp_path, "--install-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "_ANYCLAUDE_TUI_COMPLETE" in (tmp_path / file).read_text()
