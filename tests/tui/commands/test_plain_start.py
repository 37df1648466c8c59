"""A start with options alone: read as the command line's parser reads it, and drawn without it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import tui.cli
import tui.commands.plain_start
from bench.child import poll
from bench.screen.terminal import measured_terminal
from proxy.configuration.settings import SETTINGS
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.plain_start import plain_invocation, started_plainly

ROOT = Path(__file__).parents[3]
OPTIONS = {
    setting.option: "8" if setting.option_type is int else "a b=c"
    for setting in SETTINGS.values()
    if setting.option
}
PLAIN = [
    [],
    *([option, value] for option, value in OPTIONS.items()),
    [f"{option}={value}" for option, value in OPTIONS.items()],
    ["--config", "own.json", "--attach", "127.0.0.1:9", "--port", "1", "--port", "2"],
    ["--attach="],
    ["--model", ""],
]
FOR_THE_PARSER = [
    ["env"],
    ["--port", "9", "status"],
    ["--help"],
    ["--version"],
    ["--no-ui"],
    ["--play", "demo"],
    ["--prot", "9"],
    ["--port"],
    ["--port", "nine"],
    ["--port", "٣"],
    ["--port", "9" * 10],
    ["--model", "--port"],
    ["--model", "a\x1bb"],
    ["--model", "not \udcff UTF-8"],
]


class TestReading:
    @pytest.mark.parametrize("arguments", PLAIN, ids=" ".join)
    def test_it_is_what_the_parser_makes_of_it(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parsed: list[Invocation] = []
        monkeypatch.setattr("tui.commands.screen.run_screen", lambda found: parsed.append(found) or 0)
        tui.cli.app(arguments, standalone_mode=False)
        assert parsed == [plain_invocation(arguments, {})]

    @pytest.mark.parametrize("arguments", FOR_THE_PARSER, ids=ascii)
    def test_what_is_not_plain_is_left_to_the_parser(self, arguments: list[str]) -> None:
        assert plain_invocation(arguments, {}) is None

    def test_a_shell_that_asks_for_completions_gets_them(self) -> None:
        assert plain_invocation([], {"_ANYCLAUDE_TUI_COMPLETE": "complete_zsh"}) is None

    def test_the_parser_says_why_it_cannot_run_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tui.commands.plain_start, "refusal_here", lambda: "too old")
        assert not started_plainly([])


def test_a_plain_start_ends_with_the_exit_code_and_the_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(invocation: Invocation) -> int:
        raise CommandFailed(ExitCode.PORT_BUSY, "port 9 is in use")

    monkeypatch.setattr("tui.commands.screen.run_screen", fail)
    with pytest.raises(SystemExit) as ended:
        started_plainly(["--port", "9"])
    assert ended.value.code == ExitCode.PORT_BUSY
    assert capsys.readouterr().err == "anyclaude-tui: port 9 is in use\n"


# -- the first frame ---------------------------------------------------------------------------------------

NOTING_MODULES = """
import os, sys
from textual.app import App

shown = App.post_display_hook

def note(app):
    if app._driver is not None and app.screen.query("TopBar"):
        with open("noted", "w") as file:
            file.write(" ".join(sys.modules))
        os.replace("noted", "modules")
        App.post_display_hook = shown
    shown(app)

App.post_display_hook = note
sys.argv[1:] = ["--backend", "openai", "--base-url", "http://127.0.0.1:9/v1", "--port", "0"]
from tui.program import main
main()
"""
SLOW_LIBRARIES = {
    *("typer", "click", "pydantic", "pydantic_core", "httpx", "starlette", "fastapi", "uvicorn", "psutil"),
    *("http", "email", "sqlite3", "importlib.metadata", "markdown_it", "tree_sitter"),
    *("textual.widgets._markdown", "textual.widgets._text_area", "textual.widgets._data_table"),
}
FIRST_SCREENS = {
    "main",
    "opened",
    "box",
    "closable",
    "choose",
    "confirm",
}  # the others are imported when they open


def test_the_first_frame_imports_nothing_that_it_does_not_draw(tmp_path: Path) -> None:
    noted = tmp_path / "modules"
    command = [sys.executable, "-c", NOTING_MODULES]
    with measured_terminal(command, tmp_path, environ={"PYTHONPATH": str(ROOT)}):
        poll(noted.exists, timeout_s=60, what="the first frame")
    loaded = set(noted.read_text().split())
    assert "tui.screen.panes.streams" in loaded
    assert not loaded & SLOW_LIBRARIES
    assert {
        name.rpartition(".")[2] for name in loaded if name.startswith("tui.screen.screens.")
    } == FIRST_SCREENS
    assert not {
        name
        for name in loaded
        if name.startswith(
            (
                "engine.model_files.",
                "tui.screen.trace_detail.",
                "tui.client.differences.",
                "proxy.traces.analysis.why",
            )
        )
        or name in ("tui.cli", "tui.client.host_client", "tui.client.feed")
    }
